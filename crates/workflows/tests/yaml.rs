//! What is written as YAML is read back as it was, by a reader that others wrote.

use cutover_testkit::yaml;
use cutover_workflows::yaml::{Yaml, document};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn value(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Nothing => Value::Null,
        Yaml::Switch(switch) => json!(switch),
        Yaml::Number(number) => json!(number),
        Yaml::Text(text) | Yaml::Noted(text, _) => json!(text),
        Yaml::List(items) => items.iter().map(value).collect(),
        Yaml::Table(entries) => {
            entries.iter().map(|(key, item)| (key.clone(), value(item))).collect::<Map<_, _>>().into()
        }
    }
}

fn assert_read_back(text: &str) {
    let written = Yaml::table([
        ("top", Yaml::text(text)),
        ("list", Yaml::List(vec![Yaml::text(text), Yaml::table([(text, Yaml::text(text)), ("b", Yaml::text(text))])])),
        ("noted", Yaml::Noted(text.to_owned(), "a note".to_owned())),
    ]);
    assert_eq!(yaml(&document(&written)), value(&written), "{}", document(&written));
}

#[test]
fn texts_that_look_like_something_else_are_texts() {
    let words =
        ["yes", "No", "on", "OFF", "y", "null", "~", "true", "FALSE", ".inf", ".NaN", "nan", "", " ", "=", "<<"];
    let numbers =
        ["1", "-1", "+1", "0x1f", "0o17", "017", "1e3", "1_000", ".5", "1.", "12:30:45", "2026-11-27", "3.10"];
    let marks = [
        "- a", "-", "---", "...", "? a", ": a", "a: b", "a:", "a #b", "#a", "[a]", "{a}", "&a", "*a", "!a", "|", ">",
        "%a", "@a", "`a`",
    ];
    let quotes = ["'", "\"", "it's", "\"a\"", "'a'", "it's \"so\"", "\\", "\\n", "a\\", "a'\\"];
    let spaces = [
        " a",
        "a ",
        "\ta",
        "a\t",
        "a\tb",
        "\u{a0}a",
        "\u{feff}a",
        "a\u{2028}b",
        "a\u{85}b",
        "\u{7f}",
        "a\u{0}b",
        "ä",
        "😀",
    ];
    let expressions = [
        "${{ a }}",
        "${{ a }} # b",
        "${{ a }}: b",
        "${{ 'a' }}",
        "${{ 'a\"b' }}",
        "${{ 'a\\b' }}",
        "${{ a",
        "$",
        "$/a/b.yml",
        "$a: b",
    ];
    let all = [&words[..], &numbers, &marks, &quotes, &spaces, &expressions].concat();
    all.iter().for_each(|text| assert_read_back(text));
}

#[test]
fn lines_stay_as_they_are() {
    let texts = [
        "a\n",
        "a\nb",
        "a\nb\n",
        "a\n\nb\n",
        "a\n\n",
        "\na\n",
        " a\nb\n",
        "a\n b\n",
        "a \nb\n",
        "\n",
        "a\r\nb\n",
        "a\n\tb\n",
        "# a\nb\n",
        "a: b\n- c\n",
        "---\na\n",
        "a\n...\nb\n",
        "if a; then\n  b\nfi\n",
        "a\n  \nb\n",
    ];
    texts.iter().for_each(|text| assert_read_back(text));
}

#[test]
fn a_script_is_written_as_lines_and_a_word_bare() {
    let step = Yaml::table([
        ("run", Yaml::text("a\nb\n")),
        ("if", Yaml::text("${{ a == 'b' }}")),
        ("name", Yaml::text("Do it")),
    ]);
    let written = document(&Yaml::table([("steps", Yaml::List(vec![step])), ("needs", Yaml::List(Vec::new()))]));
    assert_eq!(written, "steps:\n  - run: |\n      a\n      b\n    if: ${{ a == 'b' }}\n    name: Do it\nneeds: []\n");
}

fn any_yaml() -> impl Strategy<Value = Yaml> {
    let piece =
        prop_oneof!["[ -~]{0,6}", "\\PC{0,4}", Just("\n".to_owned()), Just("${{ ".to_owned()), Just(": ".to_owned())];
    let text = || prop::collection::vec(piece.clone(), 0..5).prop_map(|pieces| pieces.concat()).boxed();
    let (keys, texts, anything) = (text(), text(), any::<String>());
    let leaf = prop_oneof![
        texts.prop_map(Yaml::Text),
        anything.prop_map(Yaml::Text),
        any::<bool>().prop_map(Yaml::Switch),
        (0..=i64::MAX as u64).prop_map(Yaml::Number),
        Just(Yaml::Nothing)
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Yaml::List),
            prop::collection::btree_map(keys.clone(), inner, 0..5)
                .prop_map(|table| Yaml::Table(table.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(cutover_testkit::at_least(2_000))]

    #[test]
    fn whatever_is_written_is_read_back(written in any_yaml()) {
        let written = Yaml::table([("top", written)]);
        let text = document(&written);
        prop_assert_eq!(yaml(&text), value(&written), "{}", text);
    }
}
