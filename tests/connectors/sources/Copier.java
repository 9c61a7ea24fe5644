package sample;

import java.util.Map;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.Schema;
import org.apache.pulsar.functions.api.Context;
import org.apache.pulsar.functions.api.Function;
import org.apache.pulsar.functions.api.Record;
import org.apache.pulsar.io.core.Sink;
import org.apache.pulsar.io.core.SinkContext;
import org.apache.pulsar.io.core.annotations.FieldDoc;

/** A sink that writes what it gets to a topic; fails for "bad". */
public class Copier implements Sink<String> {
    /** The settings. */
    public static class Settings {
        @FieldDoc(required = true, defaultValue = "", help = "The topic to write to")
        private String target;
        @FieldDoc(defaultValue = "", sensitive = true, help = "What stands before each text")
        private String prefix;
    }

    /** What a sink can apply first. */
    public static class Upper implements Function<String, Record<String>> {
        @Override
        public Record<String> process(String input, Context context) {
            String text = input.toUpperCase() + context.getUserConfigValueOrDefault("mark", "");
            return context.newOutputRecordBuilder(Schema.STRING).value(text).build();
        }
    }

    private Producer<String> producer;
    private String prefix;

    @Override
    public void open(Map<String, Object> config, SinkContext context) throws Exception {
        producer = context.getPulsarClient().newProducer(Schema.STRING).topic((String) config.get("target")).create();
        prefix = String.valueOf(config.getOrDefault("prefix", ""));
    }

    @Override
    public void write(Record<String> record) throws Exception {
        if (record.getValue().equals("bad")) {
            record.ack();
            throw new IllegalArgumentException("a bad one");
        }
        producer.send(prefix + record.getValue());
        record.ack();
    }

    @Override
    public void close() throws Exception {
        if (producer != null) {
            producer.close();
        }
    }
}
