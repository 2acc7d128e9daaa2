# Buckets with all that the provider can say of them, users with keys and policies, a role that is assumed, and the state
# of all this in a bucket: what people keep in Terraform. The endpoint and the keys are in the environment.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.90" }
  }
  backend "s3" {
    key                         = "terraform/state"
    region                      = "us-east-1"
    use_lockfile                = true
    use_path_style              = true
    skip_requesting_account_id  = true
    skip_region_validation      = true
    skip_credentials_validation = true
  }
}

variable "prefix" {
  type        = string
  description = "The bucket of the state, to which logs and lists go as well; names of others begin with it."
}

variable "changed" {
  type        = bool
  default     = false
  description = "Whether each document says something else than at first."
}

variable "queue" {
  type        = string
  description = "The ARN of a queue that events go to."
}

locals {
  every  = "${aws_s3_bucket.source.arn}/*"
  on     = var.changed ? "Disabled" : "Enabled"
  prefix = var.changed ? "other/" : "a/"
}

provider "aws" {
  s3_use_path_style = true
}

# ---- buckets

resource "aws_s3_bucket" "source" {
  bucket        = "${var.prefix}-source"
  force_destroy = true
  tags          = var.changed ? { team = "b" } : { team = "a", "cost centre" = "größe +-=._:/@" }
}

resource "aws_s3_bucket" "target" {
  bucket              = "${var.prefix}-target"
  force_destroy       = true
  object_lock_enabled = true
}

resource "aws_s3_bucket" "listed" {
  bucket = "${var.prefix}-listed"
}

resource "aws_s3_bucket_versioning" "source" {
  bucket = aws_s3_bucket.source.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_object_lock_configuration" "target" {
  bucket = aws_s3_bucket.target.id
  rule {
    default_retention {
      mode  = "GOVERNANCE"
      days  = var.changed ? null : 1
      years = var.changed ? 1 : null
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "listed" {
  bucket = aws_s3_bucket.listed.id
  rule { object_ownership = var.changed ? "ObjectWriter" : "BucketOwnerPreferred" }
}

resource "aws_s3_bucket_public_access_block" "listed" {
  bucket                  = aws_s3_bucket.listed.id
  block_public_acls       = false
  ignore_public_acls      = false
  block_public_policy     = false
  restrict_public_buckets = false
}

resource "aws_s3_bucket_acl" "listed" {
  depends_on = [aws_s3_bucket_ownership_controls.listed, aws_s3_bucket_public_access_block.listed]
  bucket     = aws_s3_bucket.listed.id
  acl        = var.changed ? "authenticated-read" : "public-read"
}

resource "aws_s3_bucket_public_access_block" "source" {
  bucket                  = aws_s3_bucket.source.id
  block_public_acls       = !var.changed
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "source" {
  statement {
    sid       = "Read"
    actions   = var.changed ? ["s3:GetObject"] : ["s3:GetObject", "s3:GetObjectVersion"]
    resources = [local.every]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_user.reader.arn, aws_iam_role.writer.arn]
    }
  }
  statement {
    sid       = "NoOthers"
    effect    = "Deny"
    actions   = ["s3:DeleteBucketPolicy"]
    resources = [aws_s3_bucket.source.arn]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "NotIpAddress"
      variable = "aws:SourceIp"
      values   = ["127.0.0.0/8", "::1/128"]
    }
  }
}

resource "aws_s3_bucket_policy" "source" {
  bucket = aws_s3_bucket.source.id
  policy = data.aws_iam_policy_document.source.json
}

resource "aws_s3_bucket_cors_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  cors_rule {
    id              = "one"
    allowed_headers = ["*"]
    allowed_methods = var.changed ? ["HEAD"] : ["PUT", "POST"]
    allowed_origins = ["https://*.example.com"]
    expose_headers  = ["ETag"]
    max_age_seconds = var.changed ? 0 : 3000
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "source" {
  depends_on = [aws_s3_bucket_versioning.source]
  bucket     = aws_s3_bucket.source.id
  rule {
    id     = "logs"
    status = "Enabled"
    filter {
      and {
        prefix = "logs/"
        tags   = { class = "a" }
      }
    }
    transition {
      days          = 30
      storage_class = "STANDARD_IA"
    }
    expiration { days = var.changed ? 100 : 90 }
    noncurrent_version_expiration {
      noncurrent_days           = 10
      newer_noncurrent_versions = 2
    }
  }
  rule {
    id     = "dated"
    status = local.on
    filter {
      and {
        prefix                   = local.prefix
        object_size_greater_than = 500
        object_size_less_than    = 64000
      }
    }
    transition {
      date          = "2031-01-01T00:00:00Z"
      storage_class = "GLACIER"
    }
    expiration { date = "2032-01-01T00:00:00Z" }
    noncurrent_version_transition {
      noncurrent_days = 3
      storage_class   = "DEEP_ARCHIVE"
    }
  }
  rule {
    id     = "tagged"
    status = "Enabled"
    filter {
      tag {
        key   = "class"
        value = var.changed ? "b" : "a"
      }
    }
    expiration { days = 1 }
  }
  rule {
    id     = "large"
    status = "Enabled"
    filter { object_size_greater_than = var.changed ? 2000 : 1000 }
    expiration { days = 3000 }
  }
  rule {
    id     = "markers"
    status = "Enabled"
    filter {}
    expiration { expired_object_delete_marker = true }
  }
  rule {
    id     = "uploads"
    status = "Enabled"
    filter { prefix = "" }
    abort_incomplete_multipart_upload { days_after_initiation = 3 }
  }
  transition_default_minimum_object_size = var.changed ? "varies_by_storage_class" : "all_storage_classes_128K"
}

resource "aws_s3_bucket_server_side_encryption_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  rule {
    bucket_key_enabled = !var.changed
    apply_server_side_encryption_by_default { sse_algorithm = var.changed ? "AES256" : "aws:kms" }
  }
}

resource "aws_s3_bucket_website_configuration" "listed" {
  bucket = aws_s3_bucket.listed.id
  index_document { suffix = "index.html" }
  error_document { key = var.changed ? "errors/404.html" : "error.html" }
  routing_rule {
    condition {
      key_prefix_equals               = "docs/"
      http_error_code_returned_equals = var.changed ? "403" : "404"
    }
    redirect {
      host_name               = "example.com"
      protocol                = "https"
      http_redirect_code      = "302"
      replace_key_prefix_with = "documents/"
    }
  }
}

resource "aws_s3_bucket_website_configuration" "target" {
  bucket = aws_s3_bucket.target.id
  redirect_all_requests_to {
    host_name = var.changed ? "example.org" : "example.com"
    protocol  = "https"
  }
}

resource "aws_s3_bucket_logging" "source" {
  bucket        = aws_s3_bucket.source.id
  target_bucket = var.prefix
  target_prefix = var.changed ? "other logs/" : "logs/"
  target_object_key_format {
    partitioned_prefix { partition_date_source = var.changed ? "DeliveryTime" : "EventTime" }
  }
}

resource "aws_s3_bucket_notification" "source" {
  bucket      = aws_s3_bucket.source.id
  eventbridge = !var.changed
  queue {
    id            = "created"
    queue_arn     = var.queue
    events        = var.changed ? ["s3:ObjectCreated:Put"] : ["s3:ObjectCreated:*", "s3:ObjectRestore:Completed"]
    filter_prefix = local.prefix
    filter_suffix = ".jpg"
  }
  queue {
    queue_arn = var.queue
    events    = ["s3:ObjectRemoved:*"]
  }
}

resource "aws_s3_bucket_replication_configuration" "source" {
  depends_on = [aws_s3_bucket_versioning.source, aws_s3_bucket_object_lock_configuration.target]
  bucket     = aws_s3_bucket.source.id
  role       = aws_iam_role.writer.arn
  rule {
    id       = "pictures"
    priority = 1
    status   = local.on
    filter {
      and {
        prefix = local.prefix
        tags   = { class = "a", "cost centre" = "b" }
      }
    }
    delete_marker_replication { status = "Disabled" }
    existing_object_replication { status = local.on }
    source_selection_criteria {
      replica_modifications { status = "Enabled" }
      sse_kms_encrypted_objects { status = "Enabled" }
    }
    destination {
      bucket        = aws_s3_bucket.target.arn
      account       = data.aws_caller_identity.self.account_id
      storage_class = var.changed ? "GLACIER" : "STANDARD_IA"
      access_control_translation { owner = "Destination" }
      encryption_configuration { replica_kms_key_id = "arn:aws:kms:us-east-1:000000000000:key/1234" }
      metrics {
        status = "Enabled"
        event_threshold { minutes = 15 }
      }
      replication_time {
        status = "Enabled"
        time { minutes = 15 }
      }
    }
  }
  rule {
    id       = "all"
    priority = var.changed ? 3 : 2
    status   = "Enabled"
    filter {}
    delete_marker_replication { status = local.on }
    destination { bucket = aws_s3_bucket.target.arn }
  }
}

resource "aws_s3_bucket_accelerate_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  status = var.changed ? "Suspended" : "Enabled"
}

resource "aws_s3_bucket_request_payment_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  payer  = var.changed ? "BucketOwner" : "Requester"
}

resource "aws_s3_bucket_metric" "source" {
  bucket = aws_s3_bucket.source.id
  name   = "part"
  filter {
    prefix = local.prefix
    tags   = { k = "v" }
  }
}

resource "aws_s3_bucket_analytics_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  name   = "whole"
  storage_class_analysis {
    data_export {
      destination {
        s3_bucket_destination {
          bucket_arn = aws_s3_bucket.listed.arn
          prefix     = local.prefix
        }
      }
    }
  }
}

resource "aws_s3_bucket_intelligent_tiering_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  name   = "cold"
  filter { prefix = "cold/" }
  tiering {
    access_tier = "ARCHIVE_ACCESS"
    days        = var.changed ? 130 : 120
  }
  tiering {
    access_tier = "DEEP_ARCHIVE_ACCESS"
    days        = 200
  }
}

resource "aws_s3_bucket_inventory" "source" {
  bucket                   = aws_s3_bucket.source.id
  name                     = "weekly"
  included_object_versions = "All"
  optional_fields          = var.changed ? ["Size"] : ["Size", "ETag", "ReplicationStatus", "ObjectLockMode"]
  schedule { frequency = var.changed ? "Daily" : "Weekly" }
  filter { prefix = local.prefix }
  destination {
    bucket {
      format     = "CSV"
      bucket_arn = "arn:aws:s3:::${var.prefix}"
      prefix     = "lists"
      encryption {
        sse_s3 {}
      }
    }
  }
}

resource "aws_s3_object" "text" {
  bucket  = aws_s3_bucket.source.id
  key     = "a b/text+ü.txt"
  content = var.changed ? "second" : "first"
  tags    = { class = var.changed ? "c" : "a" }
}

resource "aws_s3_object_copy" "text" {
  bucket            = aws_s3_bucket.listed.id
  key               = "copy.txt"
  source            = "${aws_s3_bucket.source.id}/${aws_s3_object.text.key}"
  tagging_directive = "REPLACE"
  tags              = { class = "b" }
}

# ---- users, groups, policies, a role

data "aws_iam_policy_document" "list" {
  statement {
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.source.arn]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["a b/*"]
    }
  }
}

resource "aws_iam_user" "reader" {
  name = "${var.prefix}-reader"
  path = "/teams/"
  tags = { team = "a" }
}

resource "aws_iam_access_key" "reader" {
  user = aws_iam_user.reader.name
}

resource "aws_iam_user_policy" "reader" {
  name   = "own"
  user   = aws_iam_user.reader.name
  policy = data.aws_iam_policy_document.list.json
}

resource "aws_iam_user_policy" "role" {
  name   = "role"
  user   = aws_iam_user.reader.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Resource = aws_iam_role.writer.arn }] })
}

resource "aws_iam_user_policy_attachment" "reader" {
  user       = aws_iam_user.reader.name
  policy_arn = aws_iam_policy.list.arn
}

resource "aws_iam_policy" "list" {
  name        = "${var.prefix}-list"
  description = "Lists one folder."
  policy      = data.aws_iam_policy_document.list.json
  tags        = { team = "a" }
}

resource "aws_iam_group" "team" {
  name = "${var.prefix}-team"
}

resource "aws_iam_group_membership" "team" {
  name  = "members"
  group = aws_iam_group.team.name
  users = [aws_iam_user.reader.name]
}

resource "aws_iam_group_policy" "team" {
  name   = "own"
  group  = aws_iam_group.team.name
  policy = data.aws_iam_policy_document.list.json
}

resource "aws_iam_group_policy_attachment" "team" {
  group      = aws_iam_group.team.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
}

data "aws_caller_identity" "self" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [data.aws_caller_identity.self.account_id]
    }
  }
}

resource "aws_iam_role" "writer" {
  name                 = "${var.prefix}-writer"
  description          = "Writes one folder."
  max_session_duration = 7200
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  tags                 = { team = "a" }
}

resource "aws_iam_role_policy" "writer" {
  name = "own"
  role = aws_iam_role.writer.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["s3:*Object*", "s3:ListBucketVersions"]
      Resource = [aws_s3_bucket.source.arn, local.every]
    }]
  })
}

resource "aws_iam_role_policy_attachment" "writer" {
  role       = aws_iam_role.writer.name
  policy_arn = aws_iam_policy.list.arn
}

output "reader_key" {
  value     = aws_iam_access_key.reader.id
  sensitive = true
}

output "reader_secret" {
  value     = aws_iam_access_key.reader.secret
  sensitive = true
}

output "role" {
  value = aws_iam_role.writer.arn
}
