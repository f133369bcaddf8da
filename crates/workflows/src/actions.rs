//! Actions of others that are used, each pinned to a commit: a tag can be moved.

/// An action at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// `owner/name`.
    pub name: &'static str,
    /// The commit.
    pub commit: &'static str,
    /// The release that this commit is.
    pub version: &'static str,
}

const fn action(name: &'static str, commit: &'static str, version: &'static str) -> Action {
    Action { name, commit, version }
}

/// Fetches the repository.
pub const CHECKOUT: Action = action("actions/checkout", "3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1");
/// Keeps files between runs.
pub const CACHE: Action = action("actions/cache", "55cc8345863c7cc4c66a329aec7e433d2d1c52a9", "v6.1.0");
/// Hands files to later jobs, and to people.
pub const UPLOAD: Action = action("actions/upload-artifact", "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a", "v7.0.1");
/// Takes files from earlier jobs.
pub const DOWNLOAD: Action = action("actions/download-artifact", "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "v8.0.1");
/// Provides a version of Python.
pub const SETUP_PYTHON: Action = action("actions/setup-python", "5fda3b95a4ea91299a34e894583c3862153e4b97", "v7.0.0");
/// Provides a version of Node.
pub const SETUP_NODE: Action = action("actions/setup-node", "820762786026740c76f36085b0efc47a31fe5020", "v7.0.0");
