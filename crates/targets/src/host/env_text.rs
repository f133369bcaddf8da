//! Writing env files: what systemd's `EnvironmentFile`, shells and dotenv readers agree on.
//!
//! A value of harmless characters stands bare; one without quotes, backslashes, dollars and line
//! breaks in single quotes; anything else in double quotes with `\` before `"`, `\`, `$` and
//! a backquote, which systemd.exec(5) and POSIX shells read alike.

use cutover_core::secret::Secret;
use std::collections::BTreeMap;

/// Renders variables as an env file.
pub fn render(variables: &BTreeMap<String, Secret>) -> Secret {
    let mut text = String::from("# Written by Cutover; changes here are replaced by the next deployment.\n");
    for (name, value) in variables {
        text.push_str(name);
        text.push('=');
        push_value(&mut text, value.expose());
        text.push('\n');
    }
    Secret::new(text)
}

fn push_value(text: &mut String, value: &str) {
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(bare) {
        text.push_str(value);
    } else if !value.contains(['\'', '\\', '\n', '\r', '$', '`']) {
        text.push('\'');
        text.push_str(value);
        text.push('\'');
    } else {
        text.push('"');
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '$' | '`') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::parse_env;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_rendered_is_read_back(values in proptest::collection::btree_map("[A-Z_][A-Z0-9_]{0,8}", "[^\0\r]*", 0..6)) {
            let variables: BTreeMap<String, Secret> = values.iter().map(|(k, v)| (k.clone(), Secret::new(v.clone()))).collect();
            let read = parse_env(render(&variables).expose()).unwrap();
            let exposed: BTreeMap<String, String> = read.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
            prop_assert_eq!(exposed, values);
        }
    }

    #[test]
    fn a_shell_reads_the_same_values() {
        let values = ["plain", "two words", "it's", "a\"b", "$HOME `id` \\n", "line\nbreak", "", "#no comment", "ü"];
        let variables: BTreeMap<String, Secret> =
            values.iter().enumerate().map(|(i, v)| (format!("V{i}"), Secret::new(*v))).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), render(&variables).expose()).unwrap();
        for (i, value) in values.iter().enumerate() {
            let script = format!(". {}; printf %s \"$V{i}\"", file.path().display());
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), *value);
        }
    }
}
