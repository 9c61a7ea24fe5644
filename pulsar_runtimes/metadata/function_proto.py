"""The messages of Apache Pulsar's ``Function.proto`` and ``Request.proto``, by the numbers and names of 4.0.8."""

from __future__ import annotations

from pulsar_runtimes.instance.descriptors import Fields, build_messages

_ENUMS = {
    "ProcessingGuarantees": {"ATLEAST_ONCE": 0, "ATMOST_ONCE": 1, "EFFECTIVELY_ONCE": 2, "MANUAL": 3},
    "SubscriptionType": {"SHARED": 0, "FAILOVER": 1, "KEY_SHARED": 2},
    "SubscriptionPosition": {"LATEST": 0, "EARLIEST": 1},
    "CompressionType": {"LZ4": 0, "NONE": 1, "ZLIB": 2, "ZSTD": 3, "SNAPPY": 4},
    "FunctionState": {"RUNNING": 0, "STOPPED": 1},
    "FunctionDetails.Runtime": {"JAVA": 0, "PYTHON": 1, "GO": 3},
    "FunctionDetails.ComponentType": {"UNKNOWN": 0, "FUNCTION": 1, "SOURCE": 2, "SINK": 3},
    "CryptoSpec.FailureAction": {"FAIL": 0, "DISCARD": 1, "CONSUME": 2, "SEND": 10},
    "ServiceRequest.ServiceRequestType": {"UPDATE": 0, "DELETE": 1, "INITIALIZE": 2},
}

_TABLE: dict[str, Fields] = {
    "Resources": [("cpu", 1, "double"), ("ram", 2, "int64"), ("disk", 3, "int64")],
    "RetryDetails": [("maxMessageRetries", 1, "int32"), ("deadLetterTopic", 2, "string")],
    "FunctionDetails": [
        ("tenant", 1, "string"),
        ("namespace", 2, "string"),
        ("name", 3, "string"),
        ("className", 4, "string"),
        ("logTopic", 5, "string"),
        ("processingGuarantees", 6, "ProcessingGuarantees"),
        ("userConfig", 7, "string"),
        ("runtime", 8, "FunctionDetails.Runtime"),
        ("autoAck", 9, "bool"),
        ("parallelism", 10, "int32"),
        ("source", 11, "SourceSpec"),
        ("sink", 12, "SinkSpec"),
        ("resources", 13, "Resources"),
        ("packageUrl", 14, "string"),
        ("retryDetails", 15, "RetryDetails"),
        ("secretsMap", 16, "string"),
        ("runtimeFlags", 17, "string"),
        ("componentType", 18, "FunctionDetails.ComponentType"),
        ("customRuntimeOptions", 19, "string"),
        ("builtin", 20, "string"),
        ("retainOrdering", 21, "bool"),
        ("retainKeyOrdering", 22, "bool"),
        ("subscriptionPosition", 23, "SubscriptionPosition"),
    ],
    "ConsumerSpec": [
        ("schemaType", 1, "string"),
        ("serdeClassName", 2, "string"),
        ("isRegexPattern", 3, "bool"),
        ("receiverQueueSize", 4, "ConsumerSpec.ReceiverQueueSize"),
        ("schemaProperties", 5, "map<string, string>"),
        ("consumerProperties", 6, "map<string, string>"),
        ("cryptoSpec", 7, "CryptoSpec"),
        ("poolMessages", 8, "bool"),
    ],
    "ConsumerSpec.ReceiverQueueSize": [("value", 1, "int32")],
    "ProducerSpec": [
        ("maxPendingMessages", 1, "int32"),
        ("maxPendingMessagesAcrossPartitions", 2, "int32"),
        ("useThreadLocalProducers", 3, "bool"),
        ("cryptoSpec", 4, "CryptoSpec"),
        ("batchBuilder", 5, "string"),
        ("compressionType", 6, "CompressionType"),
    ],
    "CryptoSpec": [
        ("cryptoKeyReaderClassName", 1, "string"),
        ("cryptoKeyReaderConfig", 2, "string"),
        ("producerEncryptionKeyName", 3, "repeated string"),
        ("producerCryptoFailureAction", 4, "CryptoSpec.FailureAction"),
        ("consumerCryptoFailureAction", 5, "CryptoSpec.FailureAction"),
    ],
    "SourceSpec": [
        ("className", 1, "string"),
        ("configs", 2, "string"),
        ("subscriptionType", 3, "SubscriptionType"),
        ("topicsToSerDeClassName", 4, "map<string, string>"),
        ("typeClassName", 5, "string"),
        ("timeoutMs", 6, "uint64"),
        ("topicsPattern", 7, "string"),
        ("builtin", 8, "string"),
        ("subscriptionName", 9, "string"),
        ("inputSpecs", 10, "map<string, ConsumerSpec>"),
        ("cleanupSubscription", 11, "bool"),
        ("subscriptionPosition", 12, "SubscriptionPosition"),
        ("negativeAckRedeliveryDelayMs", 13, "uint64"),
        ("skipToLatest", 14, "bool"),
    ],
    "SinkSpec": [
        ("className", 1, "string"),
        ("configs", 2, "string"),
        ("topic", 3, "string"),
        ("serDeClassName", 4, "string"),
        ("typeClassName", 5, "string"),
        ("builtin", 6, "string"),
        ("schemaType", 7, "string"),
        ("forwardSourceMessageProperty", 8, "bool"),
        ("schemaProperties", 9, "map<string, string>"),
        ("consumerProperties", 10, "map<string, string>"),
        ("producerSpec", 11, "ProducerSpec"),
    ],
    "PackageLocationMetaData": [("packagePath", 1, "string"), ("originalFileName", 2, "string")],
    "FunctionAuthenticationSpec": [("data", 1, "bytes"), ("provider", 2, "string")],
    "FunctionMetaData": [
        ("functionDetails", 1, "FunctionDetails"),
        ("packageLocation", 2, "PackageLocationMetaData"),
        ("version", 3, "uint64"),
        ("createTime", 4, "uint64"),
        ("instanceStates", 5, "map<int32, FunctionState>"),
        ("functionAuthSpec", 6, "FunctionAuthenticationSpec"),
        ("transformFunctionPackageLocation", 7, "PackageLocationMetaData"),
    ],
    "Instance": [("functionMetaData", 1, "FunctionMetaData"), ("instanceId", 2, "int32")],
    "Assignment": [("instance", 1, "Instance"), ("workerId", 2, "string")],
    "ServiceRequest": [
        ("serviceRequestType", 1, "ServiceRequest.ServiceRequestType"),
        ("requestId", 2, "string"),
        ("functionMetaData", 3, "FunctionMetaData"),
        ("workerId", 4, "string"),
    ],
}

_classes = build_messages("Function.proto", _TABLE, _ENUMS)

FunctionDetails = _classes["FunctionDetails"]
FunctionMetaData = _classes["FunctionMetaData"]
Assignment = _classes["Assignment"]
ServiceRequest = _classes["ServiceRequest"]
