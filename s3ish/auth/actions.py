"""The names that policies may use: S3's actions by what they act on, and its condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

from s3ish.auth.patterns import Pattern

_OBJECT_NAMES = """
    AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectAnnotation DeleteObjectTagging
    DeleteObjectVersion DeleteObjectVersionAnnotation DeleteObjectVersionTagging GetObject GetObjectAcl
    GetObjectAnnotation GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent
    GetObjectVersion GetObjectVersionAcl GetObjectVersionAnnotation GetObjectVersionAttributes
    GetObjectVersionForReplication GetObjectVersionTagging GetObjectVersionTorrent InitiateReplication
    ListMultipartUploadParts ListObjectAnnotations ListObjectVersionAnnotations ObjectOwnerOverrideToBucketOwner
    PutObject PutObjectAcl PutObjectAnnotation PutObjectLegalHold PutObjectRetention PutObjectTagging
    PutObjectVersionAcl PutObjectVersionAnnotation PutObjectVersionTagging ReplicateDelete ReplicateObject
    ReplicateTags RestoreObject UpdateObjectEncryption
    """
_BUCKET_NAMES = """
    CreateBucket CreateBucketMetadataTableConfiguration CreateSession DeleteBucket
    DeleteBucketMetadataTableConfiguration DeleteBucketPolicy DeleteBucketWebsite GetAccelerateConfiguration
    GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging
    GetBucketMetadataTableConfiguration GetBucketNotification GetBucketObjectLockConfiguration
    GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketPublicAccessBlock
    GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration
    GetIntelligentTieringConfiguration GetInventoryConfiguration GetLifecycleConfiguration GetMetricsConfiguration
    GetReplicationConfiguration ListBucket ListBucketMultipartUploads ListBucketVersions ListTagsForResource
    PutAccelerateConfiguration
    PutAnalyticsConfiguration PutBucketAbac PutBucketAcl PutBucketCORS PutBucketLogging PutBucketNotification
    PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock
    PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
    PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration
    PutReplicationConfiguration TagResource UntagResource UpdateBucketMetadataAnnotationTableConfiguration
    UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration
    """
_SERVICE_NAMES = "ListAllMyBuckets GetAccountPublicAccessBlock PutAccountPublicAccessBlock"
_OBJECT, _BUCKET = frozenset(_OBJECT_NAMES.lower().split()), frozenset(_BUCKET_NAMES.lower().split())
_ALL = {name.lower(): name for names in (_OBJECT_NAMES, _BUCKET_NAMES, _SERVICE_NAMES) for name in names.split()}

_GLOBAL_KEYS = """
    AssumedRoot CalledVia CalledViaFirst CalledViaLast ChatbotSourceArn CurrentTime Ec2InstanceSourcePrivateIPv4
    Ec2InstanceSourceVpc EpochTime FederatedProvider MultiFactorAuthAge
    MultiFactorAuthPresent PrincipalAccount PrincipalArn PrincipalIsAWSService PrincipalOrgID PrincipalOrgPaths
    PrincipalServiceName PrincipalServiceNamesList PrincipalType Referer RequestedRegion ResourceAccount ResourceOrgID
    ResourceOrgPaths SecureTransport SourceAccount SourceArn SourceIdentity SourceIp SourceOrgID SourceOrgPaths
    SourceOwner SourceVpc SourceVpcArn SourceVpce TagKeys TokenIssueTime UserAgent userid username ViaAWSService
    VpceAccount VpceOrgID VpceOrgPaths VpcSourceIp
"""
_S3_KEYS = """
    AccessGrantsInstanceArn AccessPointNetworkOrigin DataAccessPointAccount DataAccessPointArn ExistingJobOperation
    ExistingJobPriority InventoryAccessibleOptionalFields JobSuspendedCause LocationConstraint ObjectCreationOperation
    RequestJobOperation RequestJobPriority RequestObjectTagKeys ResourceAccount TlsVersion VersionId authType delimiter
    destinationRegion if-match if-none-match isReplicationPauseRequest max-keys object-lock-legal-hold object-lock-mode
    object-lock-remaining-retention-days object-lock-retain-until-date prefix signatureAge signatureversion
    x-amz-acl x-amz-bucket-namespace x-amz-content-sha256 x-amz-copy-source x-amz-grant-full-control x-amz-grant-read
    x-amz-grant-read-acp x-amz-grant-write x-amz-grant-write-acp x-amz-metadata-directive x-amz-object-ownership
    x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id
    x-amz-server-side-encryption-customer-algorithm x-amz-storage-class x-amz-website-redirect-location
"""
_KEYS_OF_OTHERS = {"ec2:sourceinstancearn", "lambda:sourcefunctionarn", "ssm:sourceinstancearn"}
"""What other services say of those who call S3 with credentials from them; no request here is from one."""
CONDITION_KEYS = (
    {f"aws:{key.lower()}" for key in _GLOBAL_KEYS.split()}
    | {f"s3:{key.lower()}" for key in _S3_KEYS.split()}
    | _KEYS_OF_OTHERS
)
"""All condition keys, in lower case."""
CONDITION_FAMILIES = (
    "aws:principaltag/",
    "aws:requesttag/",
    "aws:resourcetag/",
    "s3:accesspointtag/",
    "s3:buckettag/",
    "s3:existingobjecttag/",
    "s3:requestobjecttag/",
)
"""What stands before the key of a tag in condition keys."""


def is_condition_key(key: str) -> bool:
    """Tell whether a condition key, in lower case, exists."""
    return key in CONDITION_KEYS or any(
        key.startswith(family) and len(key) > len(family) for family in CONDITION_FAMILIES
    )


def actions_matching(pattern: str) -> frozenset[str]:
    """Return the actions, in lower case and without ``s3:``, that a pattern of a policy means; none if it means none.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    service, colon, name = pattern.partition(":")
    if pattern == "*":
        service, name = "s3", "*"
    elif not colon or service.lower() != "s3":
        return frozenset()
    wanted = Pattern(name, variables=False, ignore_case=True)
    return frozenset(action for action in _ALL if wanted.matches(action, lambda _: ()))


def nearest_to(action: str) -> str:
    """Return the action, as policies name it, that is most like one that there is not; empty if none is like it."""
    from difflib import get_close_matches

    near = get_close_matches(action.partition(":")[2].lower(), _ALL, 1, 0.85)
    return f"s3:{_ALL[near[0]]}" if near else ""


def acts_on_objects(action: str) -> bool:
    """Tell whether an action, as ``actions_matching`` returns it, acts on objects."""
    return action in _OBJECT


def acts_on_buckets(action: str) -> bool:
    """Tell whether an action, as ``actions_matching`` returns it, acts on buckets."""
    return action in _BUCKET
