//! What is new in a release, in Markdown.

use crate::markdown::{NOTHING, markup};
use cutover_core::release::{Change, ChangeKind, Changes};
use std::fmt::Write;

/// The longest list of changes in bytes; what does not fit is counted.
const CHANGES_BYTES_MAX: usize = 100_000;
/// The shortest hash that GitHub takes for a commit.
const HASH_LENGTH_MIN: usize = 7;

/// What a release is.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseNotes<'a> {
    /// What is new.
    pub changes: &'a Changes,
    /// How many commits more there are, which were not read.
    pub unread_count: usize,
    /// The tag.
    pub tag: &'a str,
    /// The tag of the release before.
    pub previous: Option<&'a str>,
    /// Where it is live.
    pub environment: &'a str,
    /// The commit, as its full hash.
    pub commit: &'a str,
    /// The artifact's id.
    pub artifact: &'a str,
    /// The repository's page; without one, nothing is linked.
    pub repository: Option<&'a str>,
}

impl ReleaseNotes<'_> {
    /// The notes. What commits say is words and nothing else; numbers of pull requests lead to those of this repository.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let mut left_out_count = self.unread_count;
        for (title, lines) in self.sections() {
            let mut begun = false;
            for line in lines {
                if text.len() + line.len() + title.len() > CHANGES_BYTES_MAX {
                    left_out_count += 1;
                    continue;
                }
                if !begun {
                    text += &format!("{}### {title}\n", if text.is_empty() { "" } else { "\n" });
                    begun = true;
                }
                text += &line;
            }
        }
        if left_out_count > 0 {
            text += &format!("\n… and {left_out_count} more changes.\n");
        }
        if text.is_empty() {
            text += "Nothing is said of what is new.\n";
        }
        text + &self.footer()
    }

    fn sections(&self) -> Vec<(&'static str, Vec<String>)> {
        let breaking = self.changes.all.iter().filter_map(|change| Some((change, change.breaking.as_deref()?)));
        let breaking = breaking.map(|(change, note)| self.line(change, note)).collect();
        let of_kind = |kind| {
            let all = self.changes.all.iter().filter(move |change| change.kind == kind);
            (title(kind), all.map(|change| self.line(change, &change.text)).collect())
        };
        [("What may break", breaking)].into_iter().chain(ChangeKind::ALL.map(of_kind)).collect()
    }

    fn line(&self, change: &Change, text: &str) -> String {
        let scope = change.scope.as_ref().map(|scope| format!("**{}:** ", markup(scope))).unwrap_or_default();
        let (text, pull) = match self.repository.and_then(|url| Some((url, squashed(text)?))) {
            Some((url, (before, pull))) => (before, format!(" ([#{pull}]({url}/pull/{pull}))")),
            None => (text, String::new()),
        };
        format!("- {scope}{}{pull} ({})\n", words(text), self.commit(&change.commit))
    }

    fn commit(&self, commit: &str) -> String {
        let short = &commit[..commit.len().min(7)];
        self.repository.map_or_else(|| format!("`{short}`"), |url| format!("[{short}]({url}/commit/{commit})"))
    }

    fn footer(&self) -> String {
        let (environment, commit) = (markup(self.environment), self.commit(self.commit));
        let mut text = format!("\n---\nLive in {environment}: commit {commit}, artifact `{}`.", self.artifact);
        // Writing to a string cannot fail.
        let _ = match (self.repository, self.previous) {
            (Some(url), Some(previous)) => {
                let tag = self.tag;
                write!(text, " [All changes since {}]({url}/compare/{previous}...{tag})", markup(previous))
            }
            (None, Some(previous)) => write!(text, " The release before is {}.", markup(previous)),
            (_, None) => write!(text, " It is the first release."),
        };
        text + "\n"
    }
}

/// What somebody says, as an item of a list: it begins no list of its own, and a hash in it leads nowhere.
fn words(text: &str) -> String {
    let text = markup(text);
    let begins_list = text.starts_with(|c: char| matches!(c, '-' | '+' | '=') || c.is_ascii_digit());
    let mut safe = if begins_list { NOTHING.to_owned() } else { String::new() };
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let hash = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if hash.len() < HASH_LENGTH_MIN || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            safe += word;
            continue;
        }
        for (at, c) in word.char_indices() {
            if at > 0 && at < hash.len() && at % (HASH_LENGTH_MIN - 1) == 0 {
                safe += NOTHING;
            }
            safe.push(c);
        }
    }
    safe
}

/// A subject and the number of the pull request that GitHub put behind it: `Sell tea (#12)`.
fn squashed(text: &str) -> Option<(&str, &str)> {
    let (before, number) = text.strip_suffix(')')?.rsplit_once(" (#")?;
    let is_number =
        (1..=9).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
    (is_number && !before.trim().is_empty()).then_some((before, number))
}

fn title(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Feature => "New",
        ChangeKind::Fix => "Mended",
        ChangeKind::Performance => "Faster",
        ChangeKind::Revert => "Taken back",
        ChangeKind::Other => "Other changes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_core::release::Commit;

    fn commit(message: &str) -> Commit {
        Commit {
            id: "c0ffee0".repeat(6)[..40].to_owned(),
            parent_count: 1,
            message: message.to_owned(),
            undone: Vec::new(),
        }
    }

    fn notes(commits: &[Commit], repository: Option<&str>) -> String {
        let changes = Changes::of(commits);
        let notes = ReleaseNotes {
            changes: &changes,
            unread_count: 0,
            tag: "v1.3.0",
            previous: Some("v1.2.0"),
            environment: "production",
            commit: &"a".repeat(40),
            artifact: "0123abcd",
            repository,
        };
        notes.markdown()
    }

    #[test]
    fn changes_are_told_by_what_they_mean_to_users() {
        let commits = [
            commit("feat(api): sell tea (#12)"),
            commit("Write the manual"),
            commit("fix!: count once\n\nBREAKING CHANGE: `total` is a number now"),
        ];
        insta::assert_snapshot!(notes(&commits, Some("https://github.com/shop/app")), @r"
        ### What may break
        - &#96;total&#96; is a number now ([c0ffee0](https://github.com/shop/app/commit/c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffe))

        ### New
        - **api:** sell tea ([#12](https://github.com/shop/app/pull/12)) ([c0ffee0](https://github.com/shop/app/commit/c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffe))

        ### Mended
        - count once ([c0ffee0](https://github.com/shop/app/commit/c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffe))

        ### Other changes
        - Write the manual ([c0ffee0](https://github.com/shop/app/commit/c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffe))

        ---
        Live in production: commit [aaaaaaa](https://github.com/shop/app/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa), artifact `0123abcd`. [All changes since v1.2.0](https://github.com/shop/app/compare/v1.2.0...v1.3.0)
        ");
        insta::assert_snapshot!(notes(&commits[..1], None), @r"
        ### New
        - **api:** sell tea (&#35;&#8203;12) (`c0ffee0`)

        ---
        Live in production: commit `aaaaaaa`, artifact `0123abcd`. The release before is v1.2.0.
        ");
    }

    #[test]
    fn what_commits_say_calls_nobody_leads_nowhere_and_is_no_markup() {
        let hostile = "feat(@team): @all see #1, evil/repo#2 ![x](https://evil.example/x.png) <img src=x> <!-- --> `a` [b](c) (#99999999999)";
        let told = notes(
            &[commit(hostile), commit("</details>\u{202e}\x1b[31m # x\r\n")],
            Some("https://github.com/shop/app"),
        );
        let words = told.replace("&#8203;", "\u{200b}");
        for markup in ["<img", "<!--", "</details>", "](c)", "![", "https://evil", "@all", "@team", "#2", "\u{1b}"] {
            assert!(!words.contains(markup), "{markup} in {told}");
        }
        assert_eq!(told.matches("](").count(), 4, "the commits' links and that of the comparison: {told}");
    }

    #[test]
    fn what_looks_like_a_list_a_formula_a_commit_or_a_pull_request_is_words() {
        let hash = "c0ffee0".repeat(5);
        let subjects = ["- sell tea", "1. sell tea", &*format!("take {hash} back"), "pay $5 or $6", "sell tea (#0)"];
        let told = notes(&subjects.map(commit), Some("https://github.com/shop/app"));
        let words = told.replace("&#8203;", "\u{200b}").replace("&#36;", "¤");
        for markup in ["- - ", "- 1. ", "take c0ffee0", "$", "/pull/0"] {
            assert!(!words.contains(markup), "{markup} in {told}");
        }
        assert!(words.replace('\u{200b}', "").contains(&format!("- take {hash} back (")), "{told}");
        assert!(words.split(|c: char| !c.is_ascii_alphanumeric()).all(|word| word != hash), "{told}");
    }

    #[test]
    fn more_than_github_takes_is_counted() {
        let commits: Vec<Commit> = (0..5_000).map(|at| commit(&format!("fix: {at} {}", "@".repeat(200)))).collect();
        let told = notes(&commits, Some("https://github.com/shop/app"));
        assert!(told.len() < crate::github::release::BODY_BYTES_MAX, "{}", told.len());
        let shown = told.matches("\n- ").count();
        assert!(shown > 20 && told.contains(&format!("… and {} more changes.", 5_000 - shown)), "{shown}");
    }
}
