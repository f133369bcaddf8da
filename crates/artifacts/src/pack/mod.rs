//! From a commit to an artifact.

mod build;
mod checkout;
mod commit;
mod directory;

use crate::entries::Entries;
use crate::error::ArtifactError;
use crate::filter::Filter;
use crate::git::Repository;
use crate::record::{Artifact, CommitInfo};
use crate::store::ArtifactStore;
use build::run_build;
use checkout::Checkout;
use cutover_core::artifact::{Digest, Manifest};
use cutover_core::config::ArtifactConfig;
use cutover_core::id::ProjectName;
use cutover_core::provenance::{Builder, Packing};
use jiff::Timestamp;
use std::path::Path;

/// What is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackSource {
    /// The commit that a revision names: a branch, a tag, a hash.
    Commit(String),
    /// The work tree with its uncommitted changes, without ignored files. The same as `HEAD` when
    /// there are none.
    WorkTree,
}

/// What to pack, and how.
#[derive(Debug, Clone)]
pub struct PackRequest<'a> {
    /// Any directory of the repository; the whole repository is packed.
    pub repository: &'a Path,
    /// The project's name.
    pub project: &'a ProjectName,
    /// What is packed.
    pub source: &'a PackSource,
    /// What goes in, and the build command.
    pub config: &'a ArtifactConfig,
    /// Who packs.
    pub builder: &'a Builder,
    /// The time now.
    pub now: Timestamp,
    /// Packs, and builds, even if this commit was packed before in the same way.
    pub again: bool,
}

/// Is told what happens while packing, and asked whether to go on.
pub trait PackObserver {
    /// Takes one line of the build command's output, without its newline; very long lines come in
    /// pieces. It has not been masked.
    fn build_output(&mut self, line: &str);

    /// Whether the build command shall be ended.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// An observer that does not care.
impl PackObserver for () {
    fn build_output(&mut self, _line: &str) {}
}

impl ArtifactStore {
    /// Packs a commit, or finds that it was packed before.
    ///
    /// The same commit packed in the same way gives the same id. On return the artifact is durable.
    pub fn pack(&self, request: &PackRequest<'_>, observer: &mut dyn PackObserver) -> Result<Artifact, ArtifactError> {
        let _lock = self.lock_shared()?;
        let repository = Repository::at(request.repository);
        let revision = match request.source {
            PackSource::Commit(revision) => revision,
            PackSource::WorkTree => "HEAD",
        };
        let hash = repository.resolve(revision)?;
        let dirty = *request.source == PackSource::WorkTree && repository.is_dirty()?;
        let key = recipe(request, &hash);
        if !dirty
            && !request.again
            && let Some(artifact) = self.packed_before(&key, request.now)?
        {
            return Ok(artifact);
        }
        let work = Work { store: self, request, repository, hash, dirty, filter: filter(request.config)? };
        let (commit, entries) = work.describe_and_pack(revision, observer)?;
        let packing = packing(request, commit.branch.clone());
        let artifact = self.save(work.manifest(entries)?, commit, request.now)?;
        self.note_packed(&artifact.id, &packing)?;
        if !dirty {
            self.remember(&key, &artifact.id)?;
        }
        Ok(artifact)
    }
}

fn packing(request: &PackRequest<'_>, branch: Option<String>) -> Packing {
    let ArtifactConfig { build, include, exclude, .. } = request.config.clone();
    Packing { branch, build, include, exclude, builder: request.builder.clone(), packed_at: request.now }
}

fn filter(config: &ArtifactConfig) -> Result<Filter, ArtifactError> {
    Filter::new(&config.include, &config.exclude)
}

/// What an artifact depends on, as one digest: equal recipes need not be carried out twice.
fn recipe(request: &PackRequest<'_>, hash: &str) -> Digest {
    let config = request.config;
    let parts = (Manifest::VERSION, request.project, hash, &config.include, &config.exclude, &config.build);
    Digest::of(format!("{parts:?}").as_bytes())
}

struct Work<'a> {
    store: &'a ArtifactStore,
    request: &'a PackRequest<'a>,
    repository: Repository,
    hash: String,
    dirty: bool,
    filter: Filter,
}

impl Work<'_> {
    /// Packs while git is asked about the commit.
    fn describe_and_pack(
        &self,
        revision: &str,
        observer: &mut dyn PackObserver,
    ) -> Result<(CommitInfo, Entries), ArtifactError> {
        if self.request.config.build.is_some() {
            let commit = self.repository.describe(&self.hash, revision)?;
            let entries = self.build(&commit, observer)?;
            return Ok((commit, entries));
        }
        std::thread::scope(|scope| {
            let describing = scope.spawn(|| self.repository.describe(&self.hash, revision));
            let entries = if self.dirty { self.pack_work_tree() } else { self.pack_commit() };
            let commit = describing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((commit?, entries?))
        })
    }

    fn pack_commit(&self) -> Result<Entries, ArtifactError> {
        let cache = self.store.cache_path(self.request.project);
        commit::pack_commit(&self.repository, &self.hash, &self.filter, self.store.blob_store(), &cache)
    }

    fn pack_work_tree(&self) -> Result<Entries, ArtifactError> {
        let top = self.repository.top()?;
        let paths = Repository::at(&top).work_tree_paths()?;
        let paths = directory::work_tree_paths(&top, &paths, &self.filter)?;
        directory::pack_paths(&top, &paths, self.store.blob_store())
    }

    /// Runs the build command in a clean checkout and packs what is there afterwards.
    fn build(&self, commit: &CommitInfo, observer: &mut dyn PackObserver) -> Result<Entries, ArtifactError> {
        let mut checkout = Checkout::create(&self.store.builds_dir(), &self.hash[..12], commit.committed_at)?;
        if self.dirty {
            let top = self.repository.top()?;
            let paths = Repository::at(&top).work_tree_paths()?;
            let everything = Filter::new(&["**".to_owned()], &[])?;
            checkout.fill_from_work_tree(&top, &directory::work_tree_paths(&top, &paths, &everything)?)?;
        } else {
            let tree = self.repository.tree(&self.hash)?;
            checkout.fill_from_commit(&self.repository, &tree)?;
            // A submodule's files are missing here too; better said now than found out in production.
            commit::taken(tree, &self.filter)?;
        }
        run_build(self.request.config, checkout.dir(), &self.hash, commit.committed_at, observer)?;
        let paths = directory::walk(checkout.dir(), &self.filter)?;
        directory::pack_paths(checkout.dir(), &paths, self.store.blob_store())
    }

    fn manifest(&self, entries: Entries) -> Result<Manifest, ArtifactError> {
        let manifest = Manifest {
            version: Manifest::VERSION,
            project: self.request.project.to_string(),
            commit: self.hash.clone(),
            dirty: self.dirty,
            entries: entries.into_map(),
        };
        manifest.check()?;
        Ok(manifest)
    }
}
