//! What is remembered of a deployment: a summary made from its plan and journal.
