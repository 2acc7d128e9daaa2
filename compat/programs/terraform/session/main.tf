# A user who assumes a role writes an object, and reads what another may read: the provider asks for the session itself.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.90" }
  }
}

variable "prefix" { type = string }
variable "role" { type = string }

provider "aws" {
  s3_use_path_style = true
  assume_role {
    role_arn     = var.role
    session_name = "terraform"
    duration     = "15m"
  }
}

data "aws_caller_identity" "session" {}

resource "aws_s3_object" "made" {
  bucket  = "${var.prefix}-source"
  key     = "made by a session"
  content = data.aws_caller_identity.session.arn
}

output "caller" {
  value = data.aws_caller_identity.session.arn
}
