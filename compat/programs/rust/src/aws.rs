//! AWS's SDK for Rust: checksums, conditions, a body of a stream, parts, presigned URLs, pages, errors.

use crate::{content, same, variable, Failure, LARGE};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier,
};
use aws_sdk_s3::Client;
use std::time::Duration;

async fn read(client: &Client, key: &str) -> Result<Vec<u8>, Failure> {
    let answer = client.get_object().bucket(variable("BUCKET")).key(key);
    let answer = answer.checksum_mode(ChecksumMode::Enabled).send().await?;
    Ok(answer.body.collect().await?.to_vec())
}

async fn puts(client: &Client) -> Result<usize, Failure> {
    let algorithms = [
        None,
        Some(ChecksumAlgorithm::Crc32),
        Some(ChecksumAlgorithm::Crc32C),
        Some(ChecksumAlgorithm::Crc64Nvme),
        Some(ChecksumAlgorithm::Sha1),
        Some(ChecksumAlgorithm::Sha256),
    ];
    let mut count = 0;
    for algorithm in algorithms {
        for size in [0, 1, 70_000, 3 << 20] {
            let key = format!("aws/put/{algorithm:?}/{size} ä+b");
            let put = client.put_object().bucket(variable("BUCKET")).key(&key).metadata("colour", "blue");
            put.set_checksum_algorithm(algorithm.clone()).body(content(size).into()).send().await?;
            same(&key, &read(client, &key).await?, &content(size))?;
            count += 1;
        }
    }
    let path = std::env::temp_dir().join(format!("compat-rust-{}", std::process::id()));
    std::fs::write(&path, content(3 << 20))?;
    let stream = ByteStream::from_path(&path).await?;
    let put = client.put_object().bucket(variable("BUCKET")).key("aws/file").body(stream).send().await;
    std::fs::remove_file(&path)?;
    put?;
    same("aws/file", &read(client, "aws/file").await?, &content(3 << 20))?;
    Ok(count + 1)
}

async fn parts(client: &Client, algorithm: Option<ChecksumAlgorithm>) -> Result<usize, Failure> {
    let (bucket, key) = (variable("BUCKET"), format!("aws/parts/{algorithm:?}"));
    let made = client.create_multipart_upload().bucket(&bucket).key(&key);
    let made = made.set_checksum_algorithm(algorithm.clone()).send().await?;
    let upload = made.upload_id().ok_or("no upload id")?;
    let mut done = Vec::new();
    for (index, part) in content(LARGE).chunks(5 << 20).enumerate() {
        let number = index as i32 + 1;
        let sent = client.upload_part().bucket(&bucket).key(&key).upload_id(upload).part_number(number);
        let sent = sent.set_checksum_algorithm(algorithm.clone()).body(part.to_vec().into()).send().await?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag);
        let part = part.set_checksum_crc32(sent.checksum_crc32).set_checksum_sha256(sent.checksum_sha256);
        done.push(part.set_checksum_crc64_nvme(sent.checksum_crc64_nvme).build());
    }
    let listed = client.list_parts().bucket(&bucket).key(&key).upload_id(upload).send().await?;
    assert_eq!(listed.parts().len(), done.len());
    let whole = CompletedMultipartUpload::builder().set_parts(Some(done)).build();
    let end = client.complete_multipart_upload().bucket(&bucket).key(&key).upload_id(upload);
    end.multipart_upload(whole).if_none_match("*").send().await?;
    same(&key, &read(client, &key).await?, &content(LARGE))?;
    let part = client.get_object().bucket(&bucket).key(&key).part_number(2).send().await?;
    same("part 2", &part.body.collect().await?.to_vec(), &content(LARGE)[5 << 20..10 << 20])?;
    Ok(1)
}

fn refused<T, E: ProvideErrorMetadata, R>(what: &str, answer: Result<T, SdkError<E, R>>, wanted: &str) -> Result<(), Failure> {
    match answer {
        Err(error) if error.code() == Some(wanted) => Ok(()),
        Err(error) => Err(format!("{what}: {:?} instead of {wanted}", error.code()).into()),
        Ok(_) => Err(format!("{what} was not refused").into()),
    }
}

async fn conditions(client: &Client) -> Result<(), Failure> {
    let (bucket, key) = (variable("BUCKET"), "aws/conditions");
    let put = || client.put_object().bucket(&bucket).key(key);
    let first = put().if_none_match("*").body(content(10).into()).send().await?;
    refused("a second creation", put().if_none_match("*").body(content(11).into()).send().await, "PreconditionFailed")?;
    let tag = first.e_tag().ok_or("no ETag")?;
    put().if_match(tag).body(content(12).into()).send().await?;
    refused("a stale change", put().if_match(tag).body(content(13).into()).send().await, "PreconditionFailed")?;
    refused("a missing key", client.get_object().bucket(&bucket).key("aws/none").send().await, "NoSuchKey")?;
    let head = client.head_object().bucket(&bucket).key("aws/none").send().await;
    assert!(head.is_err_and(|error| error.into_service_error().is_not_found()), "HEAD of a missing key");
    same(key, &read(client, key).await?, &content(12))
}

async fn presigned(client: &Client) -> Result<(), Failure> {
    let a_minute = || PresigningConfig::expires_in(Duration::from_secs(60));
    let put = client.put_object().bucket(variable("BUCKET")).key("aws/presigned ä").content_type("text/x-compat");
    let put = put.presigned(a_minute()?).await?;
    let http = reqwest::Client::new();
    let request = put.headers().fold(http.put(put.uri()), |request, (name, text)| request.header(name, text));
    request.body("signed").send().await?.error_for_status()?;
    let get = client.get_object().bucket(variable("BUCKET")).key("aws/presigned ä").response_content_type("text/x-other");
    let answer = http.get(get.presigned(a_minute()?).await?.uri()).send().await?.error_for_status()?;
    assert_eq!(answer.headers()["content-type"], "text/x-other");
    same("presigned", &answer.bytes().await?, b"signed")
}

async fn remove(client: &Client) -> Result<(), Failure> {
    let bucket = variable("BUCKET");
    let mut pages = client.list_objects_v2().bucket(&bucket).prefix("aws/").max_keys(7).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.try_next().await? {
        for object in page.contents() {
            keys.push(ObjectIdentifier::builder().key(object.key().ok_or("no key")?).build()?);
        }
    }
    let all = Delete::builder().set_objects(Some(keys.clone())).build()?;
    let answer = client.delete_objects().bucket(&bucket).delete(all).send().await?;
    assert_eq!((answer.deleted().len(), answer.errors().len()), (keys.len(), 0));
    Ok(())
}

/// Run all of it, and return how many objects came back.
pub async fn run() -> Result<usize, Failure> {
    let settings = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let settings = aws_sdk_s3::config::Builder::from(&settings).force_path_style(true).build();
    let client = Client::from_conf(settings);
    let mut count = puts(&client).await?;
    for algorithm in [None, Some(ChecksumAlgorithm::Crc64Nvme), Some(ChecksumAlgorithm::Sha256)] {
        count += parts(&client, algorithm).await?;
    }
    conditions(&client).await?;
    presigned(&client).await?;
    remove(&client).await?;
    Ok(count + 2)
}
