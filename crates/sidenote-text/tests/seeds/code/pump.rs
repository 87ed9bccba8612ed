//! A pump.
use std::fmt;

/// What it costs.
pub struct Price(u32);

impl Price {
    /// In cents.
    pub fn cents(&self) -> u32 {
        let r = r#"raw"#;
        match self.0 { 0 => 1, n if n > 2 => n * 100, _ => r.len() as u32 }
    }
}

mod inner { pub trait Seal { fn tight(&self) -> bool { true } } }
