# Rails' Active Storage, and CarrierWave on fog-aws: attachments, uploads past the application, large ones in parts,
# signed addresses, variants in a folder that is purged.
require "active_support/all"
require "active_storage"
require "active_storage/service/s3_service"
require "carrierwave"
require "fog/aws"
require "net/http"
require "tempfile"

# Rails itself finds this class by its name; it is not started here.
load File.join(Gem::Specification.find_by_name("activestorage").gem_dir, "app/models/active_storage/filename.rb")

BUCKET, ENDPOINT = ENV.fetch("BUCKET"), ENV.fetch("AWS_ENDPOINT_URL")
LARGE = Random.new(1).bytes(18 << 20)
$count = 0

def same(found, wanted)
  raise "#{found.inspect[0, 100]} instead of #{wanted.inspect[0, 100]}" unless found == wanted

  $count += 1
end

def fetch(address)
  answer = Net::HTTP.get_response(URI(address))
  [answer.code, answer.body.b]
end

def digest(data)
  OpenSSL::Digest::MD5.base64digest(data)
end

def attachments(service)
  service.upload("small", StringIO.new("text"), checksum: digest("text"), content_type: "text/x-compat")
  same(service.download("small"), "text")
  begin
    service.upload("torn", StringIO.new("text"), checksum: digest("other"))
    raise "a file with another digest was taken"
  rescue ActiveStorage::IntegrityError
    same(service.exist?("torn"), false)
  end
  service.upload("large", StringIO.new(LARGE), checksum: digest(LARGE), filename: ActiveStorage::Filename.new("ä b.bin"),
                                               disposition: :attachment)
  pieces = "".b
  service.download("large") { |piece| pieces << piece }
  same(pieces, LARGE)
  same(service.download_chunk("large", 10...20), LARGE[10, 10])
end

def addresses(service)
  given = { content_type: "text/x-compat", checksum: digest("direct") }
  target = URI(service.url_for_direct_upload("direct", expires_in: 60, content_length: 6, **given))
  Net::HTTP.start(target.host, target.port) do |http|
    same(http.send_request("PUT", target.request_uri, "other!", service.headers_for_direct_upload("direct", **given)).code, "400")
    same(http.send_request("PUT", target.request_uri, "direct", service.headers_for_direct_upload("direct", **given)).code, "200")
  end
  shown = service.url("direct", expires_in: 60, filename: ActiveStorage::Filename.new("ä b.txt"), disposition: :attachment,
                                content_type: "text/x-other")
  answer = Net::HTTP.get_response(URI(shown))
  same([answer.body, answer["content-type"], answer["content-disposition"]&.start_with?("attachment")], ["direct", "text/x-other", true])
end

def purge(service)
  12.times { |number| service.upload("variants/large/#{number}", StringIO.new(number.to_s)) }
  service.delete_prefixed("variants/large/")
  same(service.bucket.objects(prefix: "variants/").count, 0)
  %w[small large direct].each { |key| service.delete(key) }
  same(service.bucket.objects.count, 0)
end

def active_storage
  service = ActiveStorage::Service::S3Service.new(
    bucket: BUCKET, endpoint: ENDPOINT, force_path_style: true, upload: { multipart_threshold: 5 << 20 }
  )
  service.name = :s3
  attachments(service)
  addresses(service)
  purge(service)
end

CREDENTIALS = {
  provider: "AWS", aws_access_key_id: ENV.fetch("AWS_ACCESS_KEY_ID"), aws_secret_access_key: ENV.fetch("AWS_SECRET_ACCESS_KEY"),
  region: ENV.fetch("AWS_REGION"), endpoint: ENDPOINT, path_style: true
}.freeze

class Uploader < CarrierWave::Uploader::Base
  configure do |config|
    config.fog_provider = "fog/aws"
    config.fog_credentials = CREDENTIALS
    config.fog_directory = BUCKET
    config.fog_public = false
    config.cache_dir = Dir.mktmpdir
  end
  storage :fog

  def store_dir = "carrierwave"
end

def carrierwave
  uploader = Uploader.new
  Tempfile.create(["compat", ".txt"]) do |file|
    file << "carried"
    file.flush
    uploader.store!(file)
  end
  name = uploader.file.path
  again = Uploader.new
  again.retrieve_from_store!(File.basename(name))
  same(again.read, "carried")
  address = again.url
  same(fetch(address), ["200", "carried"])
  again.remove!
  same(fetch(address).first, "404")
end

def fog
  files = Fog::Storage.new(**CREDENTIALS).directories.get(BUCKET).files
  Tempfile.create("compat") do |file|
    file.binmode
    file << LARGE
    file.flush
    file.rewind
    files.new(key: "fog/large", body: file, multipart_chunk_size: 5 << 20).save
  end
  same(files.get("fog/large").body.b, LARGE)
  files.get("fog/large").copy(BUCKET, "fog/copy ä+b")
  same(fetch(files.get("fog/copy ä+b").url(Time.now + 60)), ["200", LARGE])
  same(files.reload.map(&:key).sort, ["fog/copy ä+b", "fog/large"])
  files.each(&:destroy)
  same(files.reload.to_a, [])
end

active_storage
carrierwave
fog
puts "#{$count} checks"
