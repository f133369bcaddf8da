//! The judge of Cutover: reads what tests, coverage and scanners report, and decides whether a change may go on.
//!
//! Reports come from commands that may be anything, so nothing in them is believed that can be counted, and all of it
//! is bounded. [`report`] reads, [`gate`] decides; both are free of disk, network and clock. [`run`] runs them.

#![forbid(unsafe_code)]

pub mod gate;
pub mod report;
pub mod run;
