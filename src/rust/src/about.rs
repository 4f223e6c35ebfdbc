//! What a report of the session says of the machine and of the engine as it was compiled.
use crate::condition::answer;
use crate::record;
use crate::value::Value;
use extendr_api::prelude::*;
use fastlmer_engine::{available_memory, VERSION};

/// The engine's version, and the machine as it sees it: processor, its vector instructions, and memory in bytes (NULL where unknown).
/// @noRd
#[extendr]
fn engine_about() -> Robj {
    answer(|| {
        Ok(record!(
            version = VERSION.to_string(),
            processor = std::env::consts::ARCH.to_string(),
            instructions = vector_instructions().join(" "),
            memory = available_memory().map_or(Value::Null, |bytes| Value::from(bytes as f64)),
        ))
    })
}

/// The sets of vector instructions that faer's kernels choose among when they run.
fn vector_instructions() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(target_arch = "aarch64")]
    let found = [("neon", std::arch::is_aarch64_feature_detected!("neon"))];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found: [(&str, bool); 0] = [];
    found.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

extendr_module! {
    mod about;
    fn engine_about;
}
