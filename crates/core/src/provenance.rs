//! What a builder says of an artifact: an in-toto Statement v1 with SLSA's provenance v1.
//!
//! The sources are the in-toto Attestation Framework (`spec/v1`) and "Build: Provenance" of SLSA 1.0.

use crate::artifact::Digest;
use crate::check::CommitChecks;
use crate::config::CommandLine;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The type of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of what it says.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// How an artifact comes from what it says it comes from: docs/artifacts.md.
pub const BUILD_TYPE: &str = "urn:cutover:build:v1";
/// What signatures of statements are for, as OpenSSH keeps kinds of signatures apart.
pub const SIGNATURE_NAMESPACE: &str = "cutover-provenance";
/// The largest statement that is read, in bytes.
pub const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// What is said of an artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct Told<'a> {
    /// The artifact's id.
    pub id: &'a Digest,
    /// The project's name.
    pub project: &'a str,
    /// SHA-256 of the exported file, in hexadecimal characters.
    pub sha256: &'a str,
    /// Full commit hash.
    pub commit: &'a str,
    /// Whether uncommitted changes were packed.
    pub dirty: bool,
    /// How it was packed.
    pub packing: &'a Packing,
    /// What checks had said of the commit until this was written.
    pub checks: &'a CommitChecks,
}

/// How an artifact was packed: noted when it is, since a config says nothing of what was done before it was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packing {
    /// The branch that was packed, when it was named by one.
    pub branch: Option<String>,
    /// The command that built it, where one did.
    pub build: Option<CommandLine>,
    /// The files that were taken, as glob patterns.
    pub include: Vec<String>,
    /// Those that were left out of them.
    pub exclude: Vec<String>,
    /// Who packed it, where, and as which run.
    pub builder: Builder,
    /// When it was packed.
    pub packed_at: Timestamp,
}

/// Who packed an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Builder {
    /// The platform, as a URI: a workflow at its commit, or that it was none.
    pub id: String,
    /// Cutover's version.
    pub version: String,
    /// The run, as a URI, where there is one.
    pub run: Option<String>,
    /// Where the repository is, as a URI, where that is known.
    pub repository: Option<String>,
    /// Who asked for it: a user and a host.
    pub by: String,
}

/// The statement, as JSON that people can read.
pub fn statement(told: &Told<'_>) -> Vec<u8> {
    let Told { id, project, sha256, commit, dirty, packing, checks } = told;
    let Packing { branch, build, include, exclude, builder, packed_at } = packing;
    let named = |name: &str, uri: &Option<String>, digest: Value| match uri {
        Some(uri) => json!({ "name": name, "uri": uri, "digest": digest }),
        None => json!({ "name": name, "digest": digest }),
    };
    let mut metadata = json!({ "finishedOn": packed_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() });
    if let Some(run) = &builder.run {
        metadata["invocationId"] = json!(run);
    }
    let mut run =
        json!({ "builder": { "id": builder.id, "version": { "cutover": builder.version } }, "metadata": metadata });
    if !checks.is_empty() {
        let uri = format!("urn:cutover:checks:{commit}");
        run["byproducts"] = json!([{ "name": "checks", "uri": uri, "annotations": checks }]);
    }
    let whole = json!({
        "_type": STATEMENT_TYPE,
        "subject": [
            { "name": format!("{project}-{}.cutover", id.short()), "digest": { "sha256": sha256 } },
            { "name": "manifest.json", "digest": { "blake3": id } },
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "project": project, "commit": commit, "dirty": dirty, "branch": branch, "build": build.as_ref().map(as_written),
                    "include": include, "exclude": exclude,
                },
                "internalParameters": { "by": builder.by },
                "resolvedDependencies": [named("source", &builder.repository, json!({ "gitCommit": commit }))],
            },
            "runDetails": run,
        },
    });
    let mut text = serde_json::to_vec_pretty(&whole).expect("a value of JSON has string keys only");
    text.push(b'\n');
    text
}

/// A command as a config has it.
fn as_written(line: &CommandLine) -> Value {
    match line {
        CommandLine::Shell(script) => json!(script),
        CommandLine::Argv(argv) => json!(argv),
    }
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// SHA-256 of files, in hexadecimal characters.
    pub sha256: Vec<String>,
    /// Ids of artifacts.
    pub artifacts: Vec<Digest>,
}

/// Reads what a statement is about; an error says why it is no statement of provenance.
pub fn about(statement: &[u8]) -> Result<About, String> {
    if statement.len() > STATEMENT_BYTES_MAX {
        return Err(format!("it has more than {STATEMENT_BYTES_MAX} bytes"));
    }
    let whole: Value = serde_json::from_slice(statement).map_err(|error| format!("it is no JSON: {error}"))?;
    for (key, expected) in [("_type", STATEMENT_TYPE), ("predicateType", PREDICATE_TYPE)] {
        if whole[key] != expected {
            return Err(format!("its {key} is not {expected}"));
        }
    }
    let subjects = whole["subject"].as_array().ok_or("it is about nothing")?;
    let digests = |kind: &'static str| subjects.iter().filter_map(move |subject| subject["digest"][kind].as_str());
    let sha256 = digests("sha256").map(str::to_ascii_lowercase).collect();
    let artifacts = digests("blake3").filter_map(|digest| digest.parse().ok()).collect();
    Ok(About { sha256, artifacts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_what_it_is_about_and_nothing_else_is_one() {
        let (id, checks) = (Digest::of(b"a"), CommitChecks::default());
        let packing = Packing {
            branch: None,
            build: None,
            include: Vec::new(),
            exclude: Vec::new(),
            builder: Builder::default(),
            packed_at: Timestamp::UNIX_EPOCH,
        };
        let told = Told {
            id: &id,
            project: "shop",
            sha256: &"ab".repeat(32),
            commit: &"c".repeat(40),
            dirty: false,
            packing: &packing,
            checks: &checks,
        };
        let text = String::from_utf8(statement(&told)).unwrap();

        let found = about(text.as_bytes()).unwrap();
        assert_eq!(found, About { sha256: vec!["ab".repeat(32)], artifacts: vec![id] });
        assert!(!text.contains("byproducts"), "checks that said nothing are not told of");
        for (from, to) in [(STATEMENT_TYPE, "x"), (PREDICATE_TYPE, "x"), ("subject", "subjects"), ("{", "[")] {
            assert!(about(text.replacen(from, to, 1).as_bytes()).is_err(), "{from}");
        }
        assert!(about(&vec![b' '; STATEMENT_BYTES_MAX + 1]).is_err());
    }
}
