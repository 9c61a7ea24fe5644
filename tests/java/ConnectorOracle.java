import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.util.JsonFormat;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.pulsar.common.io.SinkConfig;
import org.apache.pulsar.common.io.SourceConfig;
import org.apache.pulsar.common.util.ObjectMapperFactory;
import org.apache.pulsar.functions.proto.Function.FunctionDetails;
import org.apache.pulsar.functions.utils.SinkConfigUtils;
import org.apache.pulsar.functions.utils.SourceConfigUtils;

/** What Apache Pulsar makes of the configs of connectors. Reads questions in JSON, one a line; answers likewise. */
public class ConnectorOracle {
    private static final ObjectMapper JSON =
            new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);
    private static final ObjectWriter WRITER = ObjectMapperFactory.getMapper().writer();

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            ObjectNode question = (ObjectNode) JSON.readTree(line);
            ObjectNode answer = JSON.createObjectNode();
            try {
                ask(question, answer);
            } catch (Exception error) {
                answer.removeAll();
                answer.put("error", error.getMessage());
            }
            System.out.println(answer);
        }
    }

    private static void ask(ObjectNode question, ObjectNode answer) throws Exception {
        String type = question.path("type").asText("java.lang.Object");
        FunctionDetails details;
        Object told;
        if (question.has("sink")) {
            SinkConfig config = JSON.treeToValue(question.get("sink"), SinkConfig.class);
            if (question.has("update")) {
                SinkConfig existing = SinkConfigUtils.convertFromDetails(convert(config, type));
                config = SinkConfigUtils.validateUpdate(existing, JSON.treeToValue(question.get("update"), SinkConfig.class));
            }
            details = convert(config, type);
            told = SinkConfigUtils.convertFromDetails(details);
        } else {
            SourceConfig config = JSON.treeToValue(question.get("source"), SourceConfig.class);
            if (question.has("update")) {
                SourceConfig existing = SourceConfigUtils.convertFromDetails(convert(config, type));
                config = SourceConfigUtils.validateUpdate(existing, JSON.treeToValue(question.get("update"), SourceConfig.class));
            }
            details = convert(config, type);
            told = SourceConfigUtils.convertFromDetails(details);
        }
        answer.set("details", JSON.readTree(JsonFormat.printer().print(details)));
        answer.set("told", JSON.readTree(WRITER.writeValueAsString(told)));
    }

    private static FunctionDetails convert(SinkConfig config, String type) throws Exception {
        var found = new SinkConfigUtils.ExtractedSinkDetails(
                config.getClassName(), type, config.getTransformFunctionClassName());
        return SinkConfigUtils.convert(config, found);
    }

    private static FunctionDetails convert(SourceConfig config, String type) {
        return SourceConfigUtils.convert(
                config, new SourceConfigUtils.ExtractedSourceDetails(config.getClassName(), type));
    }
}
