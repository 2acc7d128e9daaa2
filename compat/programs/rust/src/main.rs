//! AWS's SDK for Rust, object_store (that of DataFusion, Polars and Delta Lake) and OpenDAL, one after another.

mod aws;
mod dal;
mod store;

/// What a step of a program may fail with.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The size of what goes up in parts.
pub const LARGE: usize = 18 << 20;

/// Return a variable of the environment.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// Return so many bytes, the same each time.
pub fn content(size: usize) -> Vec<u8> {
    (0..size as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Refuse bytes that are not those that were sent.
pub fn same(what: &str, found: &[u8], wanted: &[u8]) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}: {} other bytes came back instead of {}", found.len(), wanted.len()).into())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let objects = aws::run().await? + store::run().await? + dal::run().await?;
    println!("{objects} objects");
    Ok(())
}
