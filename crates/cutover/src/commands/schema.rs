//! `cutover schema`

use crate::context::Context;
use crate::error::CommandError;
use crate::exit::Exit;
use clap::Args;
use cutover_core::config::{json_schema, reference};

/// Print the JSON Schema of cutover.toml, for editors.
///
/// Editors that know JSON Schema complete keys and mark mistakes while you type. Where the editor
/// uses taplo, as Even Better TOML does, let the first line of cutover.toml be
/// `#:schema ./cutover.schema.json`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  cutover schema > cutover.schema.json
  cutover schema --reference | less   every key, its default and its meaning")]
pub(crate) struct SchemaArgs {
    /// Print the reference of all keys as Markdown instead
    #[arg(long)]
    reference: bool,
}

impl SchemaArgs {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, CommandError> {
        let text = if self.reference { reference() } else { serde_json::to_string_pretty(&json_schema())? + "\n" };
        context.output.text(&text)?;
        Ok(Exit::Done)
    }
}
