//! Writes down which x86-64 features the C++ kernels of llama.cpp are built with, so that the program can compare them
//! with the CPU it meets. llama.cpp's own build script follows the same rule: `target-cpu=native` means the features of
//! the building machine, everything else means ggml's defaults.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let features = if arch == "x86_64" { x86_features(flags.contains("target-cpu=native")) } else { Vec::new() };
    println!("cargo:rustc-env=SIDENOTE_KERNEL_FEATURES={}", features.join(","));
}

/// The features that ggml's CMake turns on when the build is not native.
const GGML_DEFAULTS: [&str; 6] = ["sse4.2", "avx", "avx2", "bmi2", "fma", "f16c"];

#[cfg(target_arch = "x86_64")]
fn x86_features(native: bool) -> Vec<&'static str> {
    if !native {
        return GGML_DEFAULTS.to_vec();
    }
    let mut features = Vec::new();
    macro_rules! note {
        ($($name:tt),*) => { $( if std::is_x86_feature_detected!($name) { features.push($name); } )* };
    }
    note!(
        "sse4.2",
        "avx",
        "avx2",
        "bmi2",
        "fma",
        "f16c",
        "avx512f",
        "avx512bw",
        "avx512vl",
        "avx512vbmi",
        "avx512vnni",
        "avx512bf16",
        "avxvnni"
    );
    features
}

/// Cross-compiling to x86-64: the building machine says nothing about the target.
#[cfg(not(target_arch = "x86_64"))]
fn x86_features(_native: bool) -> Vec<&'static str> {
    GGML_DEFAULTS.to_vec()
}
