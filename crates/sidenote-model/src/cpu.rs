//! Whether this CPU has what the program was built for.
//!
//! llama.cpp's kernels are compiled for the machine that builds them. On a lesser CPU the first of them would end the process
//! with an illegal instruction; asked first, this says which feature is missing. On Linux it reads what the kernel reports,
//! since the standard library's own test is answered at compile time in a native build.

use std::ffi::CStr;
use std::sync::OnceLock;

use crate::ModelError;

/// The features the kernels were built with, written down by the build script. Empty on other architectures.
const KERNEL_FEATURES: &str = env!("SIDENOTE_KERNEL_FEATURES");

/// Compares the kernels with the CPU. To be called first thing in a program.
///
/// # Errors
/// [`ModelError::CpuFeature`] with what is missing.
pub fn check_cpu() -> Result<(), ModelError> {
    let Some(flags) = cpu_flags() else { return Ok(()) };
    let missing = missing_features(KERNEL_FEATURES, &flags);
    if missing.is_empty() { Ok(()) } else { Err(ModelError::CpuFeature { missing }) }
}

/// What llama.cpp reports about itself, such as `CPU : AVX2 = 1 | AVX512 = 1 | ... `.
#[must_use]
#[expect(unsafe_code, reason = "the safe wrapper has no such function")]
pub fn system_info() -> &'static str {
    static INFO: OnceLock<String> = OnceLock::new();
    INFO.get_or_init(|| {
        // SAFETY: the function takes nothing and returns a string in static memory that ends in a zero byte. It writes that
        // string anew each time, so it is called once.
        let text = unsafe {
            let pointer = llama_cpp_sys_2::llama_print_system_info();
            if pointer.is_null() {
                return String::new();
            }
            CStr::from_ptr(pointer)
        };
        text.to_string_lossy().trim().to_owned()
    })
}

fn missing_features(built_with: &'static str, flags: &str) -> Vec<&'static str> {
    built_with
        .split(',')
        .filter(|feature| !feature.is_empty())
        .filter(|feature| {
            let name = kernel_name(feature);
            !flags.split_whitespace().any(|flag| flag == name)
        })
        .collect()
}

/// The Linux kernel's spelling of a feature.
fn kernel_name(feature: &str) -> &str {
    match feature {
        "sse4.2" => "sse4_2",
        "avx512vbmi" => "avx512vbmi",
        "avx512vnni" => "avx512_vnni",
        "avx512bf16" => "avx512_bf16",
        "avxvnni" => "avx_vnni",
        other => other,
    }
}

/// The flags of the first CPU; `None` where the system does not say.
fn cpu_flags() -> Option<String> {
    let info = fs_err::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("flags"))?;
    Some(line.split_once(':')?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_what_its_build_needs() {
        check_cpu().expect("the machine that built the program");
    }

    #[test]
    fn a_lesser_cpu_is_told_what_it_lacks() {
        assert_eq!(missing_features("avx2,avx512vnni,fma", "fpu avx avx2 fma"), ["avx512vnni"]);
        assert!(missing_features("", "fpu").is_empty());
        let error = ModelError::CpuFeature { missing: vec!["avx512vnni"] };
        assert_eq!(error.to_string(), "this program was built with CPU features that this machine lacks: avx512vnni");
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn llama_cpp_uses_every_kernel_that_the_cpu_has() {
        let report = system_info();
        let flags = cpu_flags().expect("flags in /proc/cpuinfo");
        let has = |name: &str| flags.split_whitespace().any(|flag| flag == name);
        // ggml's AVX512 needs the four parts that came together with Skylake.
        let avx512 = ["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"].iter().all(|name| has(name));
        let expected = [
            ("AVX", has("avx")),
            ("AVX2", has("avx2")),
            ("FMA", has("fma")),
            ("F16C", has("f16c")),
            ("BMI2", has("bmi2")),
            ("AVX_VNNI", has("avx_vnni")),
            ("AVX512", avx512),
            ("AVX512_VBMI", has("avx512vbmi")),
            ("AVX512_VNNI", has("avx512_vnni")),
            ("AVX512_BF16", has("avx512_bf16")),
            // Left out of the build: `.cargo/llama.cmake` says why.
            ("AMX_INT8", false),
        ];
        for (name, wanted) in expected {
            assert_eq!(report.contains(&format!(" {name} = 1 ")), wanted, "{name} in `{report}`");
        }
    }
}
