package sample;

import org.apache.pulsar.functions.api.Context;
import org.apache.pulsar.functions.api.Function;

/** Greets; counts what it greets; raises for nobody. */
public class Greeter implements Function<String, String> {
    @Override
    public String process(String name, Context context) {
        if (name.isEmpty()) {
            throw new IllegalArgumentException("nobody to greet");
        }
        context.recordMetric("greeted", 1);
        String word = (String) context.getUserConfigValueOrDefault("word", "Hello");
        String secret = context.getSecret("PASSWORD");
        return word + ", " + name + (secret == null ? "" : " (" + secret.length() + ")");
    }
}
