//! Where files are that reports name.

/// A repository's work tree, as far as it must be known to say which of its files a report means.
#[derive(Clone, Copy)]
pub struct Tree<'a> {
    /// Its top: an absolute path without a slash at its end.
    pub top: &'a str,
    /// Whether a path from the top is a file.
    pub is_file: &'a dyn Fn(&str) -> bool,
}

impl Tree<'_> {
    /// The path from the tree's top of a file as a tool wrote it: absolute, relative to one of its sources, or to the
    /// top. What is not found in the tree keeps its name.
    pub(super) fn locate(&self, path: &str, sources: &[String]) -> String {
        let path = path.replace('\\', "/");
        if path.starts_with('/') {
            return self.beneath(&path).unwrap_or(path);
        }
        let from_sources = sources.iter().filter_map(|source| {
            let joined = format!("{}/{path}", source.trim_end_matches('/'));
            if joined.starts_with('/') { self.beneath(&joined) } else { plain(&joined) }
        });
        let found = from_sources.chain(plain(&path)).find(|path| (self.is_file)(path));
        found.or_else(|| plain(&path)).unwrap_or(path)
    }

    fn beneath(&self, path: &str) -> Option<String> {
        let path = plain(path)?;
        path.strip_prefix(self.top.trim_start_matches('/'))?.strip_prefix('/').map(str::to_owned)
    }
}

/// A path without `.`, `..` and empty parts, and without its first slash; None if it leads out.
fn plain(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => (),
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_from_its_sources_from_the_top_and_by_its_absolute_path() {
        let is_file = |path: &str| matches!(path, "src/pkg/a.py" | "pkg/a.py" | "b.py" | "lib/a.py");
        let tree = Tree { top: "/build/repo", is_file: &is_file };
        let sources = ["/build/repo/src".to_owned(), "lib".to_owned(), "/elsewhere".to_owned()];
        let located = |path| tree.locate(path, &sources);
        assert_eq!(located("pkg/a.py"), "src/pkg/a.py");
        assert_eq!(located("./b.py"), "b.py");
        assert_eq!(located("a.py"), "lib/a.py");
        assert_eq!(located("pkg\\x\\..\\a.py"), "src/pkg/a.py");
        assert_eq!(located("/build/repo/src/./c.py"), "src/c.py");
        assert_eq!(located("/build/repository/c.py"), "/build/repository/c.py");
        assert_eq!(located("../../../out.py"), "../../../out.py");
    }
}
