use super::*;
use proptest::prelude::*;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A value that no file of this repository holds.
fn made_up(seed: u64) -> String {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(seed);
    format!("{:016x}/'\"é", hasher.finish())
}

fn masker(values: &[String]) -> Masker {
    let secrets: Vec<Secret> = values.iter().map(Secret::new).collect();
    Masker::new(secrets.iter().map(|secret| ("SECRET", secret)))
}

fn streamed(masker: &Masker, text: &[u8], borders: &[usize]) -> Vec<u8> {
    let (mut stream, mut out, mut rest) = (masker.stream(), Vec::new(), text);
    for border in borders {
        let (chunk, after) = rest.split_at((*border).min(rest.len()));
        stream.push(chunk, &mut out);
        rest = after;
    }
    stream.push(rest, &mut out);
    stream.finish(&mut out);
    out
}

#[test]
fn a_masker_can_be_given_more_to_hide() {
    let (first, second) = (Secret::new("abcdefghij"), Secret::new("klmnopqrst"));
    let both = Masker::new([("A", &first)]).and([("B", &second)]);
    assert_eq!(both.mask("abcdefghij and klmnopqrst"), "*** and ***");
}

#[test]
fn a_secret_is_replaced_and_the_rest_stays() {
    let secret = made_up(1);
    let masked = masker(std::slice::from_ref(&secret)).mask(&format!("token={secret}; next={secret}{secret}."));
    assert_eq!(masked, "token=***; next=******.");
}

#[test]
fn secrets_that_overlap_are_hidden_as_one() {
    let masker = masker(&["abcdef".to_owned(), "defghi".to_owned()]);
    assert_eq!(masker.mask("<abcdefghi>"), "<***>");
    assert_eq!(streamed(&masker, b"<abcdefghi>", &[5, 1, 2]), b"<***>");
}

#[test]
fn a_value_that_is_too_short_is_named_and_not_masked() {
    let (short, blank, empty) = (Secret::new("ab1"), Secret::new("  x   "), Secret::new(""));
    let masker = Masker::new([("SHORT", &short), ("BLANK", &blank), ("EMPTY", &empty)]);
    assert_eq!(masker.too_short(), ["SHORT", "BLANK"]);
    assert_eq!(masker.mask("ab1   x   "), "ab1   x   ");
}

#[test]
fn each_telling_line_of_a_long_value_is_hidden() {
    let (first, last) = (made_up(1), made_up(2));
    let masker = masker(&[format!("{{\n  {first}\r\n\n  {last}\n}}\n")]);
    assert_eq!(masker.mask(&format!("x {last}\n}}\n{first}")), "x ***\n}\n***");
}

#[test]
fn what_cannot_become_a_secret_is_told_at_once() {
    let (masker, mut out) = (masker(&["hunter22".to_owned()]), Vec::new());
    let mut stream = masker.stream();
    stream.push(b"Password: ", &mut out);
    assert_eq!(out, b"Password: ");
    stream.push(b"hunt", &mut out);
    assert_eq!(out, b"Password: ", "the beginning of a secret is held back");
    stream.push(b"ing", &mut out);
    assert_eq!(out, b"Password: hunting");
}

#[test]
fn a_secret_without_end_does_not_pile_up() {
    let (masker, mut out) = (masker(&["aaaa".to_owned()]), Vec::new());
    let mut stream = masker.stream();
    for _ in 0..1000 {
        stream.push(&[b'a'; 100], &mut out);
        assert!(stream.held.len() < 100);
    }
    stream.finish(&mut out);
    assert_eq!(out, MASK.as_bytes());
}

#[test]
fn a_masker_shows_nothing_of_what_it_knows() {
    let secret = made_up(1);
    assert!(!format!("{:?}", masker(std::slice::from_ref(&secret))).contains(&secret[..8]));
}

#[test]
fn every_usual_encoding_is_known() {
    // Encoded by other tools: base64(1), Python's urllib, json and shlex, Go's encoding/json.
    let masker = masker(&["p@ss w/rd<é>'1".to_owned()]);
    for encoded in [
        "cEBzcyB3L3JkPMOpPicx",
        "dXNlcjpwQHNzIHcvcmQ8w6k-JzE=",
        "p%40ss%20w%2Frd%3C%C3%A9%3E%271",
        "p%40ss+w%2frd%3c%c3%a9%3e%271",
        "p%40ss%20w/rd%3C%C3%A9%3E%271",
        r"p@ss w/rd<\u00e9>'1",
        r"p@ss w/rd\u003cé\u003e'1",
        r#"p@ss w/rd<é>'"'"'1"#,
        r"p@ss w/rd<é>'\''1",
    ] {
        let masked = masker.mask(encoded);
        assert!(masked.contains(MASK), "{encoded} became {masked}");
        assert!(masked.len() <= MASK.len() + 9, "{encoded} became {masked}");
    }
}

#[test]
fn what_python_and_a_shell_show_of_a_value_is_hidden() {
    // repr() with either quote, and what bash's `set -x` prints.
    let masker = masker(&["it's\\a \"test\"\nwith\ttwo".to_owned()]);
    for shown in [r#"it\'s\\a "test"\nwith\ttwo"#, r#"it's\\a "test"\nwith\ttwo"#] {
        assert_eq!(masker.mask(&format!("'{shown}'")), "'***'");
    }
}

#[test]
fn a_line_of_a_long_value_is_hidden_in_base64_that_a_tool_broke() {
    let (first, second) = ("0123456789abcdef0123456789", "fedcba9876543210fedcba9876");
    let masker = masker(&[format!("{first}\n{second}")]);
    // "x=" before the second line alone, as `base64 -w 0 | fold` leaves it.
    assert_eq!(
        masker.mask("eD1mZWRjYmE5ODc2NTQzMjEwZmVkY2JhOTg3Ng=="),
        "eD1***g==",
        "the last digit holds a part of what follows"
    );
}

fn values() -> impl Strategy<Value = Vec<String>> {
    // Few letters, so that values overlap and repeat; lines, quotes and wide characters too.
    prop::collection::vec("[ab'\"/é😀 \n]{4,12}".prop_filter("maskable", |v| v.trim().chars().count() >= 4), 1..5)
}

/// Every form of a value as a text may hold it.
fn all_forms(values: &[String]) -> Vec<String> {
    let mut forms = BTreeSet::new();
    values.iter().for_each(|value| forms::add(value, &mut forms));
    forms.into_iter().collect()
}

proptest! {
    #![proptest_config(cutover_testkit::at_least(512))]

    #[test]
    fn no_form_of_a_secret_passes_at_any_chunk_border(
        values in values(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), "[ab' cd]{0,6}"), 1..8),
        borders in prop::collection::vec(0usize..9, 0..60),
    ) {
        let forms = all_forms(&values);
        let text: String = picks.iter().map(|(form, noise)| format!("{}{noise}", form.get(&forms))).collect();
        let masker = masker(&values);
        let out = streamed(&masker, text.as_bytes(), &borders);
        let shown = String::from_utf8(out).unwrap();
        prop_assert_eq!(&shown, &masker.mask(&text), "borders change nothing");
        // What lies between two masks is told as it was: no form may be in it.
        for piece in shown.split(MASK) {
            for form in &forms {
                prop_assert!(!piece.contains(form.as_str()), "{:?} holds {:?}", piece, form);
            }
        }
    }

    #[test]
    fn a_text_without_secrets_is_unchanged(
        text in "[a-f\\n é]{0,200}",
        borders in prop::collection::vec(0usize..9, 0..60),
    ) {
        let masker = masker(&["abcdefghij-1".to_owned(), made_up(7)]);
        prop_assert_eq!(&masker.mask(&text), &text);
        prop_assert_eq!(streamed(&masker, text.as_bytes(), &borders), text.into_bytes());
    }

    #[test]
    fn bytes_that_are_no_text_pass_unchanged(text in prop::collection::vec(any::<u8>(), 0..200), borders in prop::collection::vec(0usize..9, 0..60)) {
        let masker = masker(&["abcdefghij-1".to_owned()]);
        prop_assert_eq!(streamed(&masker, &text, &borders), text);
    }

    #[test]
    fn base64_of_something_larger_hides_the_secret(before in "[ -~]{0,5}", secret in "[!-~]{8,40}", after in "[ -~]{0,5}") {
        let masker = masker(std::slice::from_ref(&secret));
        let mut whole = BTreeSet::new();
        forms::add(&format!("{before}{secret}{after}"), &mut whole);
        let mut alone = BTreeSet::new();
        forms::add(&secret, &mut alone);
        for form in whole.iter().filter(|form| form.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b))) {
            let masked = masker.mask(form);
            prop_assert!(masked.contains(MASK) || masked.len() < secret.len(), "{} became {}", form, masked);
        }
    }
}
