//! object_store: conditional writes, copies that replace nothing, uploads in parts, ranges, listings, deletions of many.

use crate::{content, same, variable, Failure, LARGE};
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3ConditionalPut, S3CopyIfNotExists};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion, WriteMultipart,
};

fn build(checksum: Option<Checksum>) -> Result<AmazonS3, Failure> {
    let builder = AmazonS3Builder::from_env().with_bucket_name(variable("BUCKET")).with_allow_http(true);
    let builder = builder.with_conditional_put(S3ConditionalPut::ETagMatch);
    let builder = builder.with_copy_if_not_exists(S3CopyIfNotExists::Multipart);
    Ok(match checksum {
        Some(checksum) => builder.with_checksum_algorithm(checksum).build()?,
        None => builder.build()?,
    })
}

async fn read(store: &AmazonS3, key: &Path) -> Result<Vec<u8>, Failure> {
    Ok(store.get(key).await?.bytes().await?.to_vec())
}

async fn conditions(store: &AmazonS3) -> Result<usize, Failure> {
    let key = Path::from("store/conditions");
    let created = store.put_opts(&key, "one".into(), PutMode::Create.into()).await?;
    let again = store.put_opts(&key, "two".into(), PutMode::Create.into()).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "a second creation: {again:?}");
    let version = UpdateVersion { e_tag: created.e_tag, version: created.version };
    store.put_opts(&key, "three".into(), PutMode::Update(version.clone()).into()).await?;
    let stale = store.put_opts(&key, "four".into(), PutMode::Update(version).into()).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })), "a stale change: {stale:?}");
    let target = Path::from("store/copied ä");
    store.copy_if_not_exists(&key, &target).await?;
    let copied = store.copy_if_not_exists(&key, &target).await;
    assert!(matches!(copied, Err(Error::AlreadyExists { .. })), "a second copy: {copied:?}");
    same("store/copied", &read(store, &target).await?, b"three")?;
    store.rename(&target, &Path::from("store/renamed")).await?;
    let gone = store.head(&target).await;
    assert!(matches!(gone, Err(Error::NotFound { .. })), "what was renamed: {gone:?}");
    Ok(2)
}

async fn contents(store: &AmazonS3, name: &str) -> Result<usize, Failure> {
    let key = Path::from(format!("store/{name}"));
    let attributes = [(Attribute::ContentType, "text/x-compat"), (Attribute::CacheControl, "no-cache")];
    let options = PutOptions::from(Attributes::from_iter(attributes));
    store.put_opts(&key, content(70_000).into(), options).await?;
    let answer = store.get(&key).await?;
    assert_eq!(answer.attributes.get(&Attribute::ContentType).map(AsRef::as_ref), Some("text/x-compat"));
    same(name, &answer.bytes().await?, &content(70_000))?;
    let key = Path::from(format!("store/{name} in parts"));
    let mut upload = WriteMultipart::new_with_chunk_size(store.put_multipart(&key).await?, 5 << 20);
    upload.write(&content(LARGE));
    upload.finish().await?;
    same(name, &read(store, &key).await?, &content(LARGE))?;
    let ranges = store.get_ranges(&key, &[0..10, 6_000_000..6_000_010, 9_000_000..17_000_000]).await?;
    same("a range", &ranges[2], &content(LARGE)[9_000_000..17_000_000])?;
    store.put_multipart(&Path::from("store/given up")).await?.abort().await?;
    Ok(2)
}

async fn remove(store: &AmazonS3) -> Result<(), Failure> {
    for number in 0..25 {
        store.put(&Path::from(format!("store/many/{number}")), format!("{number}").into()).await?;
    }
    let folder = Path::from("store");
    let level = store.list_with_delimiter(Some(&folder)).await?;
    assert_eq!(level.common_prefixes, [Path::from("store/many")]);
    let after = store.list_with_offset(Some(&Path::from("store/many")), &Path::from("store/many/7"));
    assert_eq!(after.try_collect::<Vec<_>>().await?.len(), 2);
    let keys = store.list(Some(&folder)).map_ok(|object| object.location).boxed();
    let removed = store.delete_stream(keys).try_collect::<Vec<_>>().await?;
    assert_eq!(removed.len(), 25 + level.objects.len());
    assert_eq!(store.list(Some(&folder)).try_collect::<Vec<_>>().await?.len(), 0);
    Ok(())
}

/// Run all of it, and return how many objects came back.
pub async fn run() -> Result<usize, Failure> {
    let plain = build(None)?;
    let mut count = conditions(&plain).await? + contents(&plain, "plain").await?;
    count += contents(&build(Some(Checksum::SHA256))?, "sha256").await?;
    remove(&plain).await?;
    Ok(count)
}
