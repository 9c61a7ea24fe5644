"""Classes that no package brings along, because Java and Pulsar have them: those that types of functions build on.

In the words of class files. Interfaces that are not in the table themselves are left out.
"""

from __future__ import annotations

from pulsar_runtimes.java.signature import OBJECT, ClassSignature, parse_class_signature


def find_known_class(name: str) -> ClassSignature | None:
    """What is known of the class ``name``; ``None`` when it is not in the table."""
    text = _SIGNATURES.get(name)
    return None if text is None else parse_class_signature(text)


def known_class_names() -> list[str]:
    """All names of the table."""
    return list(_SIGNATURES)


_PLAIN = "Ljava/lang/Object;"
_ONE = "<T:Ljava/lang/Object;>"
_TWO = "<X:Ljava/lang/Object;T:Ljava/lang/Object;>"
_NUMBER = "Ljava/lang/Number;Ljava/lang/Comparable<L{};>;"

_SIGNATURES = {
    OBJECT: _PLAIN,
    "java.io.Serializable": _PLAIN,
    "java.lang.Boolean": f"{_PLAIN}Ljava/io/Serializable;Ljava/lang/Comparable<Ljava/lang/Boolean;>;",
    "java.lang.Byte": _NUMBER.format("java/lang/Byte"),
    "java.lang.CharSequence": _PLAIN,
    "java.lang.Character": f"{_PLAIN}Ljava/io/Serializable;Ljava/lang/Comparable<Ljava/lang/Character;>;",
    "java.lang.Comparable": f"{_ONE}{_PLAIN}",
    "java.lang.Double": _NUMBER.format("java/lang/Double"),
    "java.lang.Float": _NUMBER.format("java/lang/Float"),
    "java.lang.Integer": _NUMBER.format("java/lang/Integer"),
    "java.lang.Iterable": f"{_ONE}{_PLAIN}",
    "java.lang.Long": _NUMBER.format("java/lang/Long"),
    "java.lang.Number": f"{_PLAIN}Ljava/io/Serializable;",
    "java.lang.Short": _NUMBER.format("java/lang/Short"),
    "java.lang.String": (
        f"{_PLAIN}Ljava/io/Serializable;Ljava/lang/Comparable<Ljava/lang/String;>;Ljava/lang/CharSequence;"
    ),
    "java.lang.Void": _PLAIN,
    "java.nio.Buffer": _PLAIN,
    "java.nio.ByteBuffer": "Ljava/nio/Buffer;Ljava/lang/Comparable<Ljava/nio/ByteBuffer;>;",
    "java.util.AbstractCollection": f"{_ONE}{_PLAIN}Ljava/util/Collection<TT;>;",
    "java.util.AbstractList": f"{_ONE}Ljava/util/AbstractCollection<TT;>;Ljava/util/List<TT;>;",
    "java.util.AbstractMap": f"{_TWO}{_PLAIN}Ljava/util/Map<TX;TT;>;",
    "java.util.AbstractSet": f"{_ONE}Ljava/util/AbstractCollection<TT;>;Ljava/util/Set<TT;>;",
    "java.util.ArrayList": f"{_ONE}Ljava/util/AbstractList<TT;>;Ljava/util/List<TT;>;Ljava/io/Serializable;",
    "java.util.Collection": f"{_ONE}{_PLAIN}Ljava/lang/Iterable<TT;>;",
    "java.util.HashMap": f"{_TWO}Ljava/util/AbstractMap<TX;TT;>;Ljava/util/Map<TX;TT;>;Ljava/io/Serializable;",
    "java.util.HashSet": f"{_ONE}Ljava/util/AbstractSet<TT;>;Ljava/util/Set<TT;>;Ljava/io/Serializable;",
    "java.util.LinkedHashMap": f"{_TWO}Ljava/util/HashMap<TX;TT;>;Ljava/util/Map<TX;TT;>;",
    "java.util.LinkedHashSet": f"{_ONE}Ljava/util/HashSet<TT;>;Ljava/util/Set<TT;>;",
    "java.util.LinkedList": f"{_ONE}Ljava/util/AbstractList<TT;>;Ljava/util/Queue<TT;>;Ljava/io/Serializable;",
    "java.util.List": f"{_ONE}{_PLAIN}Ljava/util/Collection<TT;>;",
    "java.util.Map": f"{_TWO}{_PLAIN}",
    "java.util.Queue": f"{_ONE}{_PLAIN}Ljava/util/Collection<TT;>;",
    "java.util.Set": f"{_ONE}{_PLAIN}Ljava/util/Collection<TT;>;",
    "java.util.concurrent.CompletableFuture": f"{_ONE}{_PLAIN}",
    "java.util.function.Function": f"{_TWO}{_PLAIN}",
    "java.util.function.UnaryOperator": f"{_ONE}{_PLAIN}Ljava/util/function/Function<TT;TT;>;",
    "org.apache.pulsar.client.api.schema.GenericObject": _PLAIN,
    "org.apache.pulsar.client.api.schema.GenericRecord": f"{_PLAIN}Lorg/apache/pulsar/client/api/schema/GenericObject;",
    "org.apache.pulsar.common.schema.KeyValue": f"{_TWO}{_PLAIN}",
    "org.apache.pulsar.functions.api.Function": f"{_TWO}{_PLAIN}",
    "org.apache.pulsar.functions.api.KVRecord": (
        f"{_TWO}{_PLAIN}Lorg/apache/pulsar/functions/api/Record<Lorg/apache/pulsar/common/schema/KeyValue<TX;TT;>;>;"
    ),
    "org.apache.pulsar.functions.api.Record": f"{_ONE}{_PLAIN}",
    "org.apache.pulsar.functions.api.SerDe": f"{_ONE}{_PLAIN}",
    "org.apache.pulsar.functions.api.WindowFunction": f"{_TWO}{_PLAIN}",
    "org.apache.pulsar.functions.api.utils.IdentityFunction": (
        f"{_PLAIN}Ljava/util/function/Function<Ljava/lang/Object;Ljava/lang/Object;>;"
    ),
    "org.apache.pulsar.functions.api.utils.FunctionRecord": (
        f"{_ONE}{_PLAIN}Lorg/apache/pulsar/functions/api/Record<TT;>;"
    ),
    "org.apache.pulsar.io.core.AbstractPushSource": f"{_ONE}{_PLAIN}",
    "org.apache.pulsar.io.core.BatchPushSource": (
        f"{_ONE}Lorg/apache/pulsar/io/core/AbstractPushSource<TT;>;Lorg/apache/pulsar/io/core/BatchSource<TT;>;"
    ),
    "org.apache.pulsar.io.core.BatchSource": f"{_ONE}{_PLAIN}",
    "org.apache.pulsar.io.core.PushSource": (
        f"{_ONE}Lorg/apache/pulsar/io/core/AbstractPushSource<TT;>;Lorg/apache/pulsar/io/core/Source<TT;>;"
    ),
    "org.apache.pulsar.io.core.Sink": f"{_ONE}{_PLAIN}",
    "org.apache.pulsar.io.core.Source": f"{_ONE}{_PLAIN}",
}
