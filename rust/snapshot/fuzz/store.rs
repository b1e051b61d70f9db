// SPDX-License-Identifier: GPL-2.0

//! The store against the naive model, with operations that libFuzzer makes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snapshot::model::{
    self,
    Op, //
};

fuzz_target!(|input: (u8, Vec<Op>)| {
    let (limit, ops) = input;
    let limit = match limit % 8 {
        limit @ 0..4 => usize::from(limit),
        _ => usize::MAX,
    };
    model::run(limit, ops);
});
