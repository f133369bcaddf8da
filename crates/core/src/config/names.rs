//! Names and free texts.

use super::kind::TextKind;
use super::sink::{Fault, guess};
use crate::check::Severity;
use crate::id::{CheckName, EnvironmentName, InvalidId, ProjectName, TargetName};

/// The longest free text in bytes.
const TEXT_LENGTH_MAX: usize = 32 << 10;
/// The longest name in bytes.
const NAME_LENGTH_MAX: usize = 255;

/// Declares the kind of an identifier of `core::id`.
macro_rules! id_kind {
    ($kind:ident for $id:ident, $what:literal, $example:literal) => {
        #[doc = concat!($what, ".")]
        pub(super) struct $kind;

        impl TextKind for $kind {
            type Out = $id;
            const WHAT: &'static str = $what;
            const EXAMPLE: &'static str = $example;

            fn parse(text: &str) -> Result<$id, Fault> {
                $id::new(text).map_err(id_fault)
            }
        }
    };
}

id_kind!(Project for ProjectName, "a project name", "app");
id_kind!(Target for TargetName, "a target name", "app");
id_kind!(Check for CheckName, "a check's name", "tests");
id_kind!(Environment for EnvironmentName, "an environment name", "production");

fn id_fault(_: InvalidId) -> Fault {
    Fault::hinted("is not a sound name", "use letters, digits, '-', '_' and '.', starting with a letter, digit or '_'")
}

/// Refuses texts that no program could take as an argument.
fn checked(text: &str) -> Result<&str, Fault> {
    if text.contains('\0') {
        return Err(Fault::new("has a NUL character"));
    }
    if text.len() > TEXT_LENGTH_MAX {
        return Err(Fault::new(format!("is longer than {TEXT_LENGTH_MAX} bytes")));
    }
    Ok(text)
}

/// A free text that is not blank.
pub(super) struct Text;

impl TextKind for Text {
    type Out = String;
    const WHAT: &'static str = "a text";
    const EXAMPLE: &'static str = "ok";

    fn parse(text: &str) -> Result<String, Fault> {
        if text.trim().is_empty() {
            return Err(Fault::new("must not be empty"));
        }
        checked(text).map(str::to_owned)
    }
}

/// A text that may be empty: a command's argument or a variable's value.
pub(super) struct AnyText;

impl TextKind for AnyText {
    type Out = String;
    const WHAT: &'static str = "a string";
    const EXAMPLE: &'static str = "INFO";

    fn type_hint() -> String {
        "put it in quotes".to_owned()
    }

    fn parse(text: &str) -> Result<String, Fault> {
        checked(text).map(str::to_owned)
    }
}

/// The name of an environment variable.
pub(super) struct VariableName;

impl TextKind for VariableName {
    type Out = String;
    const WHAT: &'static str = "a variable name";
    const EXAMPLE: &'static str = "LOG_LEVEL";

    fn parse(text: &str) -> Result<String, Fault> {
        let sound = text.len() <= NAME_LENGTH_MAX
            && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if sound {
            return Ok(text.to_owned());
        }
        Err(Fault::hinted("is not a variable name", "use letters, digits and '_', not starting with a digit"))
    }

    fn text_schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "examples": [Self::EXAMPLE] })
    }
}

/// A word without spaces that cannot be taken for an option: a branch, a user, a program.
pub(super) struct Word;

impl TextKind for Word {
    type Out = String;
    const WHAT: &'static str = "a word";
    const EXAMPLE: &'static str = "main";

    fn parse(text: &str) -> Result<String, Fault> {
        if text.is_empty() || text.len() > NAME_LENGTH_MAX {
            return Err(Fault::new(format!("must have 1 to {NAME_LENGTH_MAX} bytes")));
        }
        if text.starts_with('-') {
            return Err(Fault::new("must not start with '-'"));
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Fault::new("must not contain spaces or control characters"));
        }
        Ok(text.to_owned())
    }
}

/// The login name on a host.
pub(super) struct UserName;

impl TextKind for UserName {
    type Out = String;
    const WHAT: &'static str = "a user name";
    const EXAMPLE: &'static str = "deploy";

    fn parse(text: &str) -> Result<String, Fault> {
        let sound = Word::parse(text)?;
        if sound.contains(['@', ':', '/', '\\', '"', '\'']) {
            return Err(Fault::new("is not a user name"));
        }
        Ok(sound)
    }
}

/// A systemd unit with its suffix.
pub(super) struct UnitName;

const UNIT_SUFFIXES: [&str; 5] = [".service", ".socket", ".timer", ".target", ".path"];

impl TextKind for UnitName {
    type Out = String;
    const WHAT: &'static str = "a unit name";
    const EXAMPLE: &'static str = "app.service";

    fn parse(text: &str) -> Result<String, Fault> {
        let sound = Word::parse(text)?;
        if !sound.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b)) {
            return Err(Fault::hinted("is not a unit name", "use letters, digits and :-_.\\@"));
        }
        if UNIT_SUFFIXES.iter().any(|suffix| sound.len() > suffix.len() && sound.ends_with(suffix)) {
            return Ok(sound);
        }
        Err(Fault::hinted("has no unit suffix", format!("write \"{sound}.service\"")))
    }
}

/// A Python module that can be imported.
pub(super) struct ModuleName;

impl TextKind for ModuleName {
    type Out = String;
    const WHAT: &'static str = "a module name";
    const EXAMPLE: &'static str = "app.main";

    fn parse(text: &str) -> Result<String, Fault> {
        let identifier = |part: &str| {
            part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        if text.len() <= NAME_LENGTH_MAX && text.split('.').all(identifier) {
            return Ok(text.to_owned());
        }
        Err(Fault::hinted("is not a module name", "write it as after `import`: \"app.main\""))
    }
}

/// Declares a kind with a few fixed words.
macro_rules! choice {
    ($(#[$doc:meta])* $kind:ident for $out:ty, $what:literal: $($word:literal => $variant:expr),+) => {
        $(#[$doc])*
        pub(super) struct $kind;

        impl TextKind for $kind {
            type Out = $out;
            const WHAT: &'static str = $what;
            const EXAMPLE: &'static str = [$($word),+][0];

            fn parse(text: &str) -> Result<$out, Fault> {
                match text {
                    $($word => Ok($variant),)+
                    text => Err(no_choice(text, &[$($word),+])),
                }
            }

            fn text_schema() -> serde_json::Value {
                serde_json::json!({ "enum": [$($word),+] })
            }
        }
    };
}

fn no_choice(text: &str, words: &[&str]) -> Fault {
    let listed: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    let hint = guess(text, words.iter().copied()).map(|word| format!("did you mean {word:?}?"));
    Fault { why: format!("must be one of {}", listed.join(", ")), hint }
}

choice!(
    /// Whose systemd runs a unit.
    Scope for super::SystemdScope, "a scope": "system" => super::SystemdScope::System, "user" => super::SystemdScope::User
);
choice!(
    /// Whose process must answer a probe.
    Owner for super::ProbeOwner, "an owner": "release" => super::ProbeOwner::Release, "any" => super::ProbeOwner::Any
);
choice!(
    /// What becomes of hosts that were switched before another one failed.
    Failing for super::OnFailure, "a policy": "restore_all" => super::OnFailure::RestoreAll, "keep" => super::OnFailure::Keep
);
choice!(
    /// What a host does whose coordinator is gone.
    Losing for super::OnLostCoordinator, "a policy":
    "restore" => super::OnLostCoordinator::Restore, "keep" => super::OnLostCoordinator::Keep
);
choice!(
    /// How bad a finding may be.
    Severe for Severity, "a severity":
    "none" => Severity::None, "low" => Severity::Low, "medium" => Severity::Medium,
    "high" => Severity::High, "critical" => Severity::Critical
);
choice!(
    /// What is done about hosts that cannot be reached.
    Missing for super::OnUnreachable, "a policy": "refuse" => super::OnUnreachable::Refuse, "skip" => super::OnUnreachable::Skip
);
