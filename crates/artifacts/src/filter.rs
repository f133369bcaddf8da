//! Which paths go into an artifact.

use crate::error::ArtifactError;
use crate::git::utf8;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// The most patterns of one list.
const PATTERN_COUNT_MAX: usize = 1000;

/// The patterns of `include` and `exclude`.
///
/// They are matched against the whole path from the repository's top, with `/` between
/// components: `*` stays within a component, `**` crosses them. A pattern that matches a
/// directory takes all that is in it, as in `.gitignore`.
#[derive(Debug)]
pub struct Filter {
    include: GlobSet,
    exclude: GlobSet,
}

impl Filter {
    /// Compiles both lists; `exclude` wins. An empty `include` takes nothing.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, ArtifactError> {
        Ok(Self { include: compile(include)?, exclude: compile(exclude)? })
    }

    /// Whether a path goes into the artifact.
    pub fn takes(&self, path: &str) -> bool {
        self.include.is_match(path) && !self.exclude.is_match(path)
    }

    /// The path as text when it goes into the artifact; one that does and is not UTF-8 is an error.
    pub(crate) fn taken<'a>(&self, path: &'a [u8]) -> Result<Option<&'a str>, ArtifactError> {
        if self.takes(&String::from_utf8_lossy(path)) { utf8(path).map(Some) } else { Ok(None) }
    }

    /// Whether a directory and all beneath it is left out, so that it need not be walked.
    pub fn leaves_out_directory(&self, path: &str) -> bool {
        self.exclude.is_match(path)
    }
}

fn compile(patterns: &[String]) -> Result<GlobSet, ArtifactError> {
    if patterns.len() > PATTERN_COUNT_MAX {
        let detail = format!("one of {} patterns; the most is {PATTERN_COUNT_MAX}", patterns.len());
        return Err(ArtifactError::Pattern { pattern: patterns[PATTERN_COUNT_MAX].clone(), detail });
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let refuse = |detail: String| ArtifactError::Pattern { pattern: pattern.clone(), detail };
        let bare = bare(pattern).map_err(|detail| refuse(detail.to_owned()))?;
        for text in [bare.to_owned(), format!("{bare}/**")] {
            set.add(glob(&text).map_err(|error| refuse(error.kind().to_string()))?);
        }
    }
    set.build().map_err(|error| ArtifactError::Pattern {
        pattern: error.glob().unwrap_or_default().to_owned(),
        detail: error.kind().to_string(),
    })
}

/// A pattern without the marks that `.gitignore` allows and that say nothing here.
fn bare(pattern: &str) -> Result<&str, &'static str> {
    let bare = pattern.strip_prefix("./").or(pattern.strip_prefix('/')).unwrap_or(pattern).trim_end_matches('/');
    match bare {
        "" => Err("is empty"),
        _ if bare.starts_with('!') => Err("a pattern cannot begin with '!'; use the other list instead"),
        _ if bare.split('/').any(|part| part == "..") => Err("a pattern cannot leave the repository with '..'"),
        _ => Ok(bare),
    }
}

fn glob(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(include: &[&str], exclude: &[&str], path: &str) -> bool {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Filter::new(&owned(include), &owned(exclude)).unwrap().takes(path)
    }

    #[test]
    fn patterns_read_as_in_a_gitignore_anchored_at_the_top() {
        for (exclude, path, left_out) in [
            ("tests/**", "tests/unit/a.py", true),
            ("tests/**", "src/tests/a.py", false),
            ("tests", "tests/unit/a.py", true),
            ("tests/", "tests/unit/a.py", true),
            ("/tests", "tests/a.py", true),
            ("./tests", "tests/a.py", true),
            ("*.md", "README.md", true),
            ("*.md", "docs/guide.md", false),
            ("**/*.md", "README.md", true),
            ("**/*.pyc", "a/b/c.pyc", true),
            ("docs/*.md", "docs/a/b.md", false),
            (".*", ".gitignore", true),
            (".*", ".github/workflows/ci.yml", true),
            ("{a,b}.txt", "b.txt", true),
            ("**", "anything/at.all", true),
        ] {
            assert_eq!(!takes(&["**"], &[exclude], path), left_out, "{exclude} {path}");
        }
    }

    #[test]
    fn only_what_is_included_and_not_excluded_is_taken() {
        let (include, exclude) = (["src", "main.py"], ["src/secret"]);
        assert!(takes(&include, &exclude, "src/a/b.py"));
        assert!(takes(&include, &exclude, "main.py"));
        assert!(!takes(&include, &exclude, "src/secret/key"));
        assert!(!takes(&include, &exclude, "other.py"));
        assert!(!takes(&[], &[], "main.py"));
    }

    #[test]
    fn a_pattern_that_cannot_mean_anything_is_named() {
        for pattern in ["", "/", "!keep", "../up", "a/../b", "[z-a]", "{open"] {
            let error = Filter::new(&["**".into()], &[pattern.into()]).unwrap_err();
            assert!(matches!(error, ArtifactError::Pattern { pattern: named, .. } if named == pattern), "{pattern}");
        }
        assert!(Filter::new(&vec!["a".into(); PATTERN_COUNT_MAX + 1], &[]).is_err());
    }
}
