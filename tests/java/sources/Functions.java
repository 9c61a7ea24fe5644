package sample;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import org.apache.pulsar.client.api.schema.GenericRecord;
import org.apache.pulsar.functions.api.Context;
import org.apache.pulsar.functions.api.Function;
import org.apache.pulsar.functions.api.Record;
import org.apache.pulsar.functions.api.SerDe;
import org.apache.pulsar.functions.api.WindowContext;
import org.apache.pulsar.functions.api.WindowFunction;
import org.apache.pulsar.io.core.BatchPushSource;
import org.apache.pulsar.io.core.BatchSource;
import org.apache.pulsar.io.core.PushSource;
import org.apache.pulsar.io.core.Sink;
import org.apache.pulsar.io.core.Source;

/** Every way to name the types of a function; all are abstract or interfaces, nobody runs them. */
public class Functions {
    public static class Animal {}
    public static class Cat extends Animal {}
    public static class Box<T> {
        public class Inner<U> {}
    }
    public static abstract class OwnRecord implements Record<String> {}
    public static class OwnList extends ArrayList<String> {}

    // Functions
    public static abstract class Plain implements Function<String, Integer> {}
    public static abstract class Native implements java.util.function.Function<String, Long> {}
    public static abstract class Bytes implements Function<byte[], byte[][]> {}
    public static abstract class Objects implements Function<Animal[], int[]> {}
    public static abstract class Generic implements Function<List<String>, Map<String, List<Integer>>> {}
    public static abstract class Nested implements Function<Animal, Box<String>.Inner<Integer>> {}
    public static abstract class NoOutput implements Function<GenericRecord, Void> {}
    public static abstract class Recorded implements Function<Record<String>, Record<byte[]>> {}
    public static abstract class Later implements Function<String, CompletableFuture<Integer>> {}
    public static abstract class LaterRecord implements Function<String, CompletableFuture<Record<Integer>>> {}
    public static abstract class RecordLater implements Function<String, Record<CompletableFuture<Integer>>> {}
    public static abstract class Base<A, B> implements Function<B, A> {}
    public static abstract class Swapped extends Base<String, Integer> {}
    public static abstract class Middle<T> extends Base<List<T>, T> {}
    public static abstract class Deep extends Middle<Animal> {}
    public static abstract class ArrayBase<T> implements Function<T[], T> {}
    public static abstract class ArrayOf extends ArrayBase<Cat> {}
    public static abstract class ArrayOfArray extends ArrayBase<byte[]> {}
    public static abstract class WithOthers implements java.io.Serializable, Comparable<Long>, Function<Cat, Animal> {}
    public static abstract class Open<T extends Animal, U> implements Function<T, U> {}
    public static abstract class OpenSelf<T extends Comparable<T>, U extends T> implements Function<T, U> {}
    public static abstract class OpenArray<T extends Animal> implements Function<T[], T> {}

    // What Pulsar itself answers wrongly or not at all
    public interface Turned<A, B> extends Function<B, A> {}
    public interface OfString<T> extends Function<String, T> {}
    public static abstract class ThroughTurned implements Turned<String, Integer> {}
    public static abstract class ThroughOfString implements OfString<Integer> {}
    public static abstract class Same implements UnaryOperator<String> {}
    public static abstract class RecordOfOwn implements Function<String, OwnRecord> {}
    @SuppressWarnings("rawtypes") public static abstract class Raw implements Function {}
    @SuppressWarnings("rawtypes") public static abstract class RawBase extends Base {}
    @SuppressWarnings("rawtypes") public static abstract class RawRecord implements Function<String, Record> {}
    public static abstract class AnyRecord implements Function<String, Record<?>> {}
    public static abstract class BoundRecord implements Function<String, Record<? extends Animal>> {}

    // Windows
    public static abstract class Window implements WindowFunction<String, Integer> {}
    public static abstract class NativeWindow implements java.util.function.Function<Collection<Integer>, Long> {}
    public static abstract class ListWindow implements java.util.function.Function<List<Cat>, Record<Cat>> {}
    public static abstract class OwnListWindow implements java.util.function.Function<OwnList, String> {}

    // Connectors
    public static abstract class Reads implements Source<byte[]> {}
    public static abstract class Pushes extends PushSource<Animal> {}
    public static abstract class Batches implements BatchSource<String> {}
    public static abstract class BatchPushes extends BatchPushSource<Cat> {}
    public static abstract class Writes implements Sink<GenericRecord> {}
    public static abstract class WritesDeep extends SinkBase<Map<String, Cat>> {}
    public static abstract class SinkBase<T> implements Sink<T> {}
    @SuppressWarnings("rawtypes") public static abstract class WritesRaw implements Sink {}

    // SerDes
    public static abstract class AnimalSerDe implements SerDe<Animal> {}
    public static abstract class CatSerDe implements SerDe<Cat> {}
    public static abstract class ObjectSerDe implements SerDe<Object> {}
    public static abstract class BytesSerDe implements SerDe<byte[]> {}
    public static abstract class InheritedSerDe extends CatSerDe {}
    public static abstract class CatToCat implements Function<Cat, Cat> {}
    public static abstract class AnimalToAnimal implements Function<Animal, Animal> {}
    public static abstract class BytesToBytes implements Function<byte[], byte[]> {}
    public static abstract class ListToList implements Function<ArrayList<String>, Collection<String>> {}
    public static abstract class ListSerDe implements SerDe<List<String>> {}
    public static abstract class IntsToInts implements Function<int[], int[]> {}
    public static abstract class ObjectsSerDe implements SerDe<Object[]> {}
    public static abstract class StringToString implements Function<String, String> {}
}
