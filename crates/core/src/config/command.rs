//! Commands, and tables that a bare command may stand for.

use super::CommandLine;
use super::kind::{Kind, ListOf, Node, wrong_type};
use super::names::{AnyText, Text};
use super::sink::{Fault, Sink};
use serde_json::{Value, json};
use std::fmt;
use std::marker::PhantomData;

/// As its author wrote it: the line, or the words with a space between them. For people: words that hold spaces are not
/// quoted.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(line) => f.write_str(line),
            Self::Argv(words) => f.write_str(&words.join(" ")),
        }
    }
}

/// A command: a line for `sh -c`, or a program and its arguments.
pub(super) struct Command;

impl Kind for Command {
    type Out = CommandLine;

    fn schema() -> Value {
        let mut argv = ListOf::<AnyText>::schema();
        argv["minItems"] = json!(1);
        json!({ "title": "a command", "anyOf": [Text::schema(), argv], "examples": ["npm ci"] })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<CommandLine> {
        if node.get_ref().is_str() {
            return Text::decode(node, sink).map(CommandLine::Shell);
        }
        if !node.get_ref().is_array() {
            wrong_type(node, "a command", Some("write \"npm ci\" or [\"npm\", \"ci\"]".to_owned()), sink);
            return None;
        }
        let argv = ListOf::<AnyText>::decode(node, sink)?;
        if argv.first().is_none_or(String::is_empty) {
            sink.fault(node.span(), "no program", Fault::new("names no program"));
            return None;
        }
        Some(CommandLine::Argv(argv))
    }
}

/// What a bare command stands for when it is written where a table could be.
pub(super) trait FromCommand {
    /// The key of the table that holds the command.
    const KEY: &'static str;
}

/// A table `T`, or a command alone that stands for the table with only that command.
pub(super) struct OrCommand<T>(PhantomData<T>);

impl<T: Kind + FromCommand> Kind for OrCommand<T> {
    type Out = T::Out;

    fn schema() -> Value {
        json!({ "anyOf": [Command::schema(), T::schema()] })
    }

    fn decode(node: &Node<'_>, sink: &mut Sink) -> Option<T::Out> {
        if node.get_ref().is_table() {
            return T::decode(node, sink);
        }
        Command::decode(node, sink)?;
        let key = toml::Spanned::new(node.span(), T::KEY.into());
        let table = toml::de::DeTable::from_iter([(key, node.clone())]);
        T::decode(&toml::Spanned::new(node.span(), toml::de::DeValue::Table(table)), sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_was_written() {
        let words = ["npm", "run", "it all"].map(str::to_owned).to_vec();
        assert_eq!(CommandLine::Argv(words).to_string(), "npm run it all");
        assert_eq!(CommandLine::Shell("npm ci  && ls".to_owned()).to_string(), "npm ci  && ls");
    }
}
