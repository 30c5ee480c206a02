#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| connector_core::json::fuzz::fuzz_blocks(data));
