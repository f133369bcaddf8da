//! The law, rule by rule, and then against random plans, failures, crashes and cancellations.

#![allow(clippy::unwrap_used)]

#[path = "law/property.rs"]
mod property;
#[path = "law/table.rs"]
mod table;
