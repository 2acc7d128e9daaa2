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

locals {
  every = "${aws_s3_bucket.source.arn}/*"
}

provider "aws" {
  s3_use_path_style = true
}

# ---- buckets

resource "aws_s3_bucket" "source" {
  bucket        = "${var.prefix}-source"
  force_destroy = true
  tags          = { team = "a", "cost centre" = "größe +-=._:/@" }
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
      mode = "GOVERNANCE"
      days = 1
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "listed" {
  bucket = aws_s3_bucket.listed.id
  rule { object_ownership = "BucketOwnerPreferred" }
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
  acl        = "public-read"
}

resource "aws_s3_bucket_public_access_block" "source" {
  bucket                  = aws_s3_bucket.source.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "source" {
  statement {
    sid       = "Read"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
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
    allowed_methods = ["PUT", "POST"]
    allowed_origins = ["https://*.example.com"]
    expose_headers  = ["ETag"]
    max_age_seconds = 3000
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
    expiration { days = 90 }
    noncurrent_version_expiration { noncurrent_days = 10 }
  }
  rule {
    id     = "uploads"
    status = "Enabled"
    filter { prefix = "" }
    abort_incomplete_multipart_upload { days_after_initiation = 3 }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default { sse_algorithm = "aws:kms" }
  }
}

resource "aws_s3_bucket_website_configuration" "listed" {
  bucket = aws_s3_bucket.listed.id
  index_document { suffix = "index.html" }
  error_document { key = "error.html" }
  routing_rule {
    condition { key_prefix_equals = "docs/" }
    redirect { replace_key_prefix_with = "documents/" }
  }
}

resource "aws_s3_bucket_logging" "source" {
  bucket        = aws_s3_bucket.source.id
  target_bucket = var.prefix
  target_prefix = "logs/"
}

resource "aws_s3_bucket_accelerate_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  status = "Enabled"
}

resource "aws_s3_bucket_request_payment_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  payer  = "Requester"
}

resource "aws_s3_bucket_metric" "source" {
  bucket = aws_s3_bucket.source.id
  name   = "part"
  filter {
    prefix = "a/"
    tags   = { k = "v" }
  }
}

resource "aws_s3_bucket_analytics_configuration" "source" {
  bucket = aws_s3_bucket.source.id
  name   = "whole"
  storage_class_analysis {
    data_export {
      destination {
        s3_bucket_destination { bucket_arn = aws_s3_bucket.listed.arn }
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
    days        = 120
  }
}

resource "aws_s3_bucket_inventory" "source" {
  bucket                   = aws_s3_bucket.source.id
  name                     = "weekly"
  included_object_versions = "All"
  optional_fields          = ["Size", "ETag"]
  schedule { frequency = "Weekly" }
  filter { prefix = "a/" }
  destination {
    bucket {
      format     = "CSV"
      bucket_arn = "arn:aws:s3:::${var.prefix}"
    }
  }
}

resource "aws_s3_object" "text" {
  bucket  = aws_s3_bucket.source.id
  key     = "a b/text+ü.txt"
  content = "first"
  tags    = { class = "a" }
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
