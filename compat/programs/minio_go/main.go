// minio-go stores and fetches objects in each way that it has of sending a body, with trailing headers and without.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

var bucket = os.Getenv("BUCKET")

func must(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func content(size int) []byte {
	data := make([]byte, size)
	rand.New(rand.NewSource(int64(size))).Read(data)
	return data
}

func expect(ctx context.Context, client *minio.Client, key string, want []byte) {
	object, err := client.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	must("get "+key, err)
	got, err := io.ReadAll(object)
	must("read "+key, err)
	if !bytes.Equal(got, want) {
		must(key, fmt.Errorf("%d other bytes came back instead of %d", len(got), len(want)))
	}
}

func main() {
	endpoint, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	must("endpoint", err)
	ctx, count := context.Background(), 0
	for _, trailing := range []bool{false, true} {
		keys := credentials.NewStaticV4(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), "")
		client, err := minio.New(endpoint.Host, &minio.Options{Creds: keys, Region: os.Getenv("AWS_REGION"), TrailingHeaders: trailing})
		must("client", err)
		options := map[string]minio.PutObjectOptions{
			"plain":    {},
			"unsigned": {DisableContentSha256: true},
			"md5":      {SendContentMd5: true},
			"metadata": {UserMetadata: map[string]string{"colour": "blue", "odd": "äöü"}, ContentType: "text/x-compat"},
		}
		if trailing {
			options["crc32c"] = minio.PutObjectOptions{Checksum: minio.ChecksumCRC32C}
			options["sha256"] = minio.PutObjectOptions{Checksum: minio.ChecksumSHA256}
		}
		for name, option := range options {
			for _, size := range []int{0, 1, 70_000, 17 << 20} {
				key, data := fmt.Sprintf("%v/%s/%d", trailing, name, size), content(size)
				_, err := client.PutObject(ctx, bucket, key, bytes.NewReader(data), int64(size), option)
				must("put "+key, err)
				expect(ctx, client, key, data)
				count++
			}
			key, data := fmt.Sprintf("%v/%s/stream", trailing, name), content(18<<20)
			_, err := client.PutObject(ctx, bucket, key, io.MultiReader(bytes.NewReader(data)), -1, option)
			must("put "+key, err)
			expect(ctx, client, key, data)
			count++
		}
		stat, err := client.StatObject(ctx, bucket, fmt.Sprintf("%v/metadata/1", trailing), minio.StatObjectOptions{})
		must("stat", err)
		if stat.ContentType != "text/x-compat" || stat.UserMetadata["Colour"] != "blue" {
			must("stat", fmt.Errorf("told %v and %v", stat.ContentType, stat.UserMetadata))
		}
		presigned, err := client.PresignedGetObject(ctx, bucket, fmt.Sprintf("%v/plain/70000", trailing), time.Minute, nil)
		must("presign", err)
		answer, err := http.Get(presigned.String())
		must("fetch", err)
		got, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != 200 || !bytes.Equal(got, content(70_000)) {
			must("fetch", fmt.Errorf("status %d, %d bytes", answer.StatusCode, len(got)))
		}
	}
	listed := []string{}
	removals := make(chan minio.ObjectInfo)
	client, err := minio.New(endpoint.Host, &minio.Options{Creds: credentials.NewEnvAWS(), Region: os.Getenv("AWS_REGION")})
	must("client", err)
	for object := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		must("list", object.Err)
		listed = append(listed, object.Key)
	}
	if len(listed) != count {
		must("list", fmt.Errorf("%d keys instead of %d: %s", len(listed), count, strings.Join(listed, " ")))
	}
	go func() {
		for _, key := range listed {
			removals <- minio.ObjectInfo{Key: key}
		}
		close(removals)
	}()
	for failed := range client.RemoveObjects(ctx, bucket, removals, minio.RemoveObjectsOptions{}) {
		must("remove", failed.Err)
	}
	fmt.Printf("%d objects\n", count)
}
