//! OpenDAL: writes on conditions and in parts, ranges, appends, folders, copies, listings, versions, deletions of many.

use crate::{content, same, variable, Failure, LARGE};
use opendal::services::S3;
use opendal::{ErrorKind, Operator};

fn service() -> S3 {
    let service = S3::default().bucket(&variable("BUCKET")).root("/dal").endpoint(&variable("AWS_ENDPOINT_URL"));
    service.region(&variable("AWS_REGION"))
}

async fn contents(operator: &Operator, name: &str) -> Result<usize, Failure> {
    let key = format!("{name}/a b/ü+.txt");
    let write = operator.write_with(&key, content(70_000)).content_type("text/x-compat").cache_control("no-cache");
    write.user_metadata([("colour".to_string(), "blue".to_string())]).await?;
    let found = operator.stat(&key).await?;
    assert_eq!((found.content_length(), found.content_type()), (70_000, Some("text/x-compat")));
    assert_eq!(found.user_metadata().and_then(|given| given.get("colour")), Some("blue"));
    same(&key, &operator.read(&key).await?.to_vec(), &content(70_000))?;
    let key = format!("{name}/parts");
    let mut writer = operator.writer_with(&key).chunk(5 << 20).concurrent(3).await?;
    for piece in content(LARGE).chunks(3_000_000) {
        writer.write(piece.to_vec()).await?;
    }
    writer.close().await?;
    same(&key, &operator.read_with(&key).chunk(4 << 20).concurrent(3).await?.to_vec(), &content(LARGE))?;
    same("a range", &operator.read_with(&key).range(1000..1010).await?.to_vec(), &content(LARGE)[1000..1010])?;
    let copied = format!("{name}/copied");
    operator.copy(&key, &copied).await?;
    same(&copied, &operator.read(&copied).await?.to_vec(), &content(LARGE))?;
    Ok(3)
}

async fn conditions(operator: &Operator) -> Result<(), Failure> {
    operator.write_with("condition", "one").if_not_exists(true).await?;
    let again = operator.write_with("condition", "two").if_not_exists(true).await;
    assert!(again.is_err_and(|error| error.kind() == ErrorKind::ConditionNotMatch), "a second creation");
    let found = operator.stat("condition").await?;
    let tag = found.etag().ok_or("no ETag")?;
    operator.write_with("condition", "three").if_match(tag).await?;
    let stale = operator.read_with("condition").if_match(tag).await;
    assert!(stale.is_err_and(|error| error.kind() == ErrorKind::ConditionNotMatch), "a stale read");
    let missing = operator.read("none").await;
    assert!(missing.is_err_and(|error| error.kind() == ErrorKind::NotFound), "a missing key");
    Ok(())
}

async fn appends() -> Result<usize, Failure> {
    let operator = Operator::new(service())?;
    for piece in ["one ", "two ", "three"] {
        operator.write_with("appended", piece).append(true).await?;
    }
    same("appended", &operator.read("appended").await?.to_vec(), b"one two three")?;
    Ok(1)
}

async fn remove(operator: &Operator) -> Result<(), Failure> {
    operator.create_dir("folder/").await?;
    assert!(operator.stat("folder/").await?.is_dir());
    for number in 0..25 {
        operator.write(&format!("folder/{number}"), vec![number]).await?;
    }
    let level = operator.list_with("folder/").limit(7).await?;
    assert_eq!(level.iter().filter(|entry| entry.metadata().is_file()).count(), 25);
    operator.delete_with("/").recursive(true).await?;
    assert_eq!(operator.list_with("/").recursive(true).await?.iter().filter(|it| it.metadata().is_file()).count(), 0);
    Ok(())
}

/// Run all of it, and return how many objects came back.
pub async fn run() -> Result<usize, Failure> {
    let operator = Operator::new(service())?;
    let mut count = contents(&operator, "plain").await?;
    count += contents(&Operator::new(service().checksum_algorithm("crc32c"))?, "crc32c").await?;
    conditions(&operator).await?;
    count += appends().await?;
    remove(&operator).await?;
    Ok(count)
}
