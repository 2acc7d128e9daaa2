// AWS's SDK for Go, version 2: bodies of known and unknown length, checksums, conditions, presigned URLs, deletions.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

var bucket = aws.String(os.Getenv("BUCKET"))

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

func main() {
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	must("settings", err)
	client := s3.NewFromConfig(settings, func(options *s3.Options) { options.UsePathStyle = true })
	expect := func(key string, want []byte) {
		answer, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		must("get "+key, err)
		got, err := io.ReadAll(answer.Body)
		must("read "+key, err)
		if !bytes.Equal(got, want) {
			must(key, fmt.Errorf("%d other bytes came back instead of %d", len(got), len(want)))
		}
	}
	keys := []types.ObjectIdentifier{}
	algorithms := []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c,
		types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256}
	for _, algorithm := range algorithms {
		for _, size := range []int{0, 1, 70_000, 3 << 20} {
			key := fmt.Sprintf("put/%s/%d", algorithm, size)
			input := &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(content(size)), ChecksumAlgorithm: algorithm}
			_, err := client.PutObject(ctx, input)
			must("put "+key, err)
			expect(key, content(size))
			keys = append(keys, types.ObjectIdentifier{Key: aws.String(key)})
		}
	}
	unsigned := s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	body := io.MultiReader(bytes.NewReader(content(70_000)))
	_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("pipe"), Body: body, ContentLength: aws.Int64(70_000)},
		unsigned, func(options *s3.Options) { options.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
	must("put of a pipe", err)
	expect("pipe", content(70_000))
	large := content(18 << 20)
	_, err = manager.NewUploader(client).Upload(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("large"), Body: io.MultiReader(bytes.NewReader(large))})
	must("upload in parts", err)
	expect("large", large)
	_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("pipe"), IfNoneMatch: aws.String("*")})
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "PreconditionFailed" {
		must("if none match", fmt.Errorf("answered %v", err))
	}
	presigned, err := s3.NewPresignClient(client).PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket: bucket, Key: aws.String("pipe"), ResponseContentType: aws.String("text/x-compat")})
	must("presign", err)
	answer, err := http.Get(presigned.URL)
	must("fetch", err)
	got, _ := io.ReadAll(answer.Body)
	if answer.Header.Get("content-type") != "text/x-compat" || !bytes.Equal(got, content(70_000)) {
		must("fetch", fmt.Errorf("status %d, type %s, %d bytes", answer.StatusCode, answer.Header.Get("content-type"), len(got)))
	}
	keys = append(keys, types.ObjectIdentifier{Key: aws.String("pipe")}, types.ObjectIdentifier{Key: aws.String("large")})
	pages, listed := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: bucket, MaxKeys: aws.Int32(7)}), 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		must("list", err)
		listed += len(page.Contents)
	}
	deleted, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: keys}})
	must("delete", err)
	if listed != len(keys) || len(deleted.Deleted) != len(keys) {
		must("keys", fmt.Errorf("%d listed and %d deleted of %d", listed, len(deleted.Deleted), len(keys)))
	}
	fmt.Printf("%d objects\n", len(keys))
}
