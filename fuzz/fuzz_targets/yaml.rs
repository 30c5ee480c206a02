#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| connector_core::answer::fuzz::fuzz_yaml(data));
