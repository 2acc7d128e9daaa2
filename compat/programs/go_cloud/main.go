// gocloud.dev's blobs: attributes, digests, conditions, streams in parts, ranges, listings by levels, signed addresses.
package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"strings"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"
)

const large = 18 << 20

func must(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func same(what string, found, wanted any) {
	if fmt.Sprint(found) != fmt.Sprint(wanted) {
		must(what, fmt.Errorf("%v instead of %v", found, wanted))
	}
}

func content(size int) []byte {
	data := make([]byte, size)
	rand.New(rand.NewSource(int64(size))).Read(data)
	return data
}

func expect(ctx context.Context, bucket *blob.Bucket, key string, wanted []byte) {
	found, err := bucket.ReadAll(ctx, key)
	must("read "+key, err)
	if !bytes.Equal(found, wanted) {
		must(key, fmt.Errorf("%d other bytes came back instead of %d", len(found), len(wanted)))
	}
}

func write(ctx context.Context, bucket *blob.Bucket) int {
	sizes := []int{0, 1, 70_000, large}
	for _, size := range sizes {
		key, data := fmt.Sprintf("put/ä b+c/%d", size), content(size)
		digest := md5.Sum(data)
		options := &blob.WriterOptions{ContentType: "text/x-compat", CacheControl: "no-cache", BufferSize: 5 << 20,
			Metadata: map[string]string{"colour": "blue ä"}}
		if size < options.BufferSize {
			options.ContentMD5 = digest[:]
		}
		must("write "+key, bucket.WriteAll(ctx, key, data, options))
		expect(ctx, bucket, key, data)
		attributes, err := bucket.Attributes(ctx, key)
		must("attributes", err)
		same("metadata", attributes.Metadata["colour"], "blue ä")
		same("type", attributes.ContentType+attributes.CacheControl, "text/x-compatno-cache")
	}
	must("create", bucket.WriteAll(ctx, "created", []byte("one"), &blob.WriterOptions{IfNotExist: true}))
	again := bucket.WriteAll(ctx, "created", []byte("two"), &blob.WriterOptions{IfNotExist: true})
	same("a second creation", gcerrors.Code(again), gcerrors.FailedPrecondition)
	given, stop := context.WithCancel(ctx)
	writer, err := bucket.NewWriter(given, "given up", nil)
	must("begin", err)
	_, err = writer.Write(content(6 << 20))
	must("write", err)
	stop()
	if writer.Close() == nil {
		must("given up", fmt.Errorf("an upload that was given up has ended well"))
	}
	return len(sizes) + 1
}

func read(ctx context.Context, bucket *blob.Bucket) {
	key := fmt.Sprintf("put/ä b+c/%d", large)
	reader, err := bucket.NewRangeReader(ctx, key, large-1000, -1, nil)
	must("range", err)
	found, err := io.ReadAll(reader)
	must("read", err)
	reader.Close()
	same("a range", bytes.Equal(found, content(large)[large-1000:]), true)
	must("copy", bucket.Copy(ctx, "copied", key, nil))
	expect(ctx, bucket, "copied", content(large))
	for _, missing := range []string{"none", "given up"} {
		exists, err := bucket.Exists(ctx, missing)
		must("exists", err)
		same(missing, exists, false)
	}
	same("a deletion of nothing", gcerrors.Code(bucket.Delete(ctx, "none")), gcerrors.NotFound)
}

func sign(ctx context.Context, bucket *blob.Bucket) {
	send := func(method, key, body string, wanted int) string {
		address, err := bucket.SignedURL(ctx, key, &blob.SignedURLOptions{Method: method, Expiry: time.Minute})
		must("sign", err)
		request, err := http.NewRequest(method, address, strings.NewReader(body))
		must("request", err)
		answer, err := http.DefaultClient.Do(request)
		must("send", err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		must("answer", err)
		same(method+" "+key, answer.StatusCode, wanted)
		return string(text)
	}
	send(http.MethodPut, "signed ä+b", "signed", 200)
	same("signed", send(http.MethodGet, "signed ä+b", "", 200), "signed")
}

func list(ctx context.Context, bucket *blob.Bucket) {
	for number := range 25 {
		must("write", bucket.WriteAll(ctx, fmt.Sprintf("many/%d/%d", number%3, number), nil, nil))
	}
	page, token, err := bucket.ListPage(ctx, blob.FirstPageToken, 2, &blob.ListOptions{Prefix: "many/", Delimiter: "/"})
	must("list", err)
	same("a page", []any{len(page), page[0].IsDir, page[1].Key}, []any{2, true, "many/1/"})
	page, _, err = bucket.ListPage(ctx, token, 2, &blob.ListOptions{Prefix: "many/", Delimiter: "/"})
	must("list", err)
	same("the next page", []any{len(page), page[0].Key}, []any{1, "many/2/"})
	count := 0
	for objects := bucket.List(nil); ; count++ {
		object, err := objects.Next(ctx)
		if err == io.EOF {
			break
		}
		must("list", err)
		must("delete", bucket.Delete(ctx, object.Key))
	}
	same("objects", count, 25+4+1+1+1)
}

func main() {
	ctx := context.Background()
	address := "s3://%s?endpoint=%s&use_path_style=true&disable_https=true&region=%s"
	bucket, err := blob.OpenBucket(ctx, fmt.Sprintf(address, os.Getenv("BUCKET"), os.Getenv("AWS_ENDPOINT_URL"), os.Getenv("AWS_REGION")))
	must("open", err)
	defer bucket.Close()
	count := write(ctx, bucket)
	read(ctx, bucket)
	sign(ctx, bucket)
	list(ctx, bucket)
	fmt.Printf("%d objects\n", count+2)
}
