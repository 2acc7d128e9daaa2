# AWS's SDK for Ruby: checksums, files and streams in parts, copies, presigned URLs, the browser's form, listings, versions.
require "aws-sdk-s3"
require "net/http"
require "tempfile"

BUCKET = ENV.fetch("BUCKET")
CLIENT = Aws::S3::Client.new(endpoint: ENV.fetch("AWS_ENDPOINT_URL"), force_path_style: true)
OBJECTS = Aws::S3::Bucket.new(BUCKET, client: CLIENT)
LARGE = Random.new(1).bytes(18 << 20)
$count = 0

def expect(key, wanted)
  found = OBJECTS.object(key).get.body.read.b
  raise "#{key}: #{found.bytesize} other bytes came back instead of #{wanted.bytesize}" unless found == wanted.b

  $count += 1
end

def same(found, wanted)
  raise "#{found.inspect} instead of #{wanted.inspect}" unless found == wanted
end

def puts_of_sizes
  [0, 1, 70_000, 3 << 20].each do |size|
    [nil, "CRC32", "SHA1", "SHA256"].each do |algorithm|
      key, body = "put/#{algorithm}/#{size} ä+b", LARGE[0, size]
      options = algorithm ? { checksum_algorithm: algorithm } : {}
      CLIENT.put_object(bucket: BUCKET, key: key, body: body, metadata: { "colour" => "blue" }, **options)
      expect(key, body)
      same(CLIENT.head_object(bucket: BUCKET, key: key).metadata, { "colour" => "blue" })
    end
  end
end

def parts
  Tempfile.create("compat") do |file|
    file.binmode
    file.write(LARGE)
    file.flush
    OBJECTS.object("file").upload_file(file.path, multipart_threshold: 5 << 20)
  end
  OBJECTS.object("stream").upload_stream(part_size: 5 << 20) { |stream| stream.binmode << LARGE }
  OBJECTS.object("copy").copy_from("#{BUCKET}/file", multipart_copy: true, content_length: LARGE.bytesize)
  OBJECTS.object("stream").move_to("#{BUCKET}/moved")
  same(OBJECTS.object("stream").exists?, false)
  %w[file copy moved].each { |key| expect(key, LARGE) }
end

def presigned
  target = URI(OBJECTS.object("presigned").presigned_url(:put, content_type: "text/x-compat"))
  stored = Net::HTTP.start(target.host, target.port) do |http|
    http.send_request("PUT", target.request_uri, "signed", { "content-type" => "text/x-compat" })
  end
  same([stored.code, stored.body.to_s], ["200", ""])
  source = OBJECTS.object("presigned").presigned_url(:get, response_content_type: "text/x-other")
  fetched = Net::HTTP.get_response(URI(source))
  same([fetched.body, fetched["content-type"]], %w[signed text/x-other])
end

def form
  post = OBJECTS.presigned_post(key: "form/${filename}", content_length_range: 1..100, success_action_status: "201")
  target = URI(post.url)
  request = Net::HTTP::Post.new(target)
  request.set_form([*post.fields.to_a, ["file", "form", { filename: "file.bin" }]], "multipart/form-data")
  same(Net::HTTP.start(target.host, target.port) { |http| http.request(request) }.code, "201")
  expect("form/file.bin", "form")
end

def listings
  keys = Array.new(25) { |number| "many/#{number}" }.sort
  keys.each { |key| CLIENT.put_object(bucket: BUCKET, key: key, body: key) }
  [CLIENT.list_objects_v2(bucket: BUCKET, prefix: "many/", max_keys: 4),
   CLIENT.list_objects(bucket: BUCKET, prefix: "many/", max_keys: 4, delimiter: "/")].each do |pages|
    same(pages.flat_map { |page| page.contents.map(&:key) }, keys)
  end
  same(OBJECTS.objects(prefix: "many/").map(&:key), keys)
end

def errors
  { Aws::S3::Errors::NoSuchKey => -> { OBJECTS.object("none").get },
    Aws::S3::Errors::NotFound => -> { OBJECTS.object("none").load },
    Aws::S3::Errors::NotModified => -> { OBJECTS.object("file").get(if_none_match: OBJECTS.object("file").etag) } }
    .each do |wanted, call|
      call.call
      raise "#{wanted} is not raised"
    rescue wanted
      $count += 1
    end
end

def versions
  CLIENT.put_bucket_versioning(bucket: BUCKET, versioning_configuration: { status: "Enabled" })
  2.times { |number| CLIENT.put_object(bucket: BUCKET, key: "versions", body: number.to_s) }
  CLIENT.delete_object(bucket: BUCKET, key: "versions")
  same(OBJECTS.object_versions(prefix: "versions").count, 3)
  OBJECTS.object_versions.batch_delete!
  same(OBJECTS.object_versions.count, 0)
end

puts_of_sizes
parts
presigned
form
listings
errors
versions
puts "#{$count} objects and errors"
