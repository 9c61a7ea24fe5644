import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import net.bytebuddy.description.type.TypeDefinition;
import org.apache.pulsar.common.functions.FunctionConfig;
import org.apache.pulsar.common.functions.WindowConfig;
import org.apache.pulsar.functions.utils.FunctionCommon;
import org.apache.pulsar.functions.utils.FunctionConfigUtils;
import org.apache.pulsar.functions.utils.FunctionFilePackage;
import org.apache.pulsar.functions.utils.ValidatorUtils;

/** What Apache Pulsar itself says. Reads lines of a jar, a kind and class names; writes one line for each. */
public class Oracle {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            if (words[1].equals("supertype")) {
                Class<?> one = Class.forName(words[2]);
                boolean is = Class.forName(words[3]).isAssignableFrom(one);
                System.out.println(is + " " + one.getTypeParameters().length);
                continue;
            }
            try (FunctionFilePackage code = new FunctionFilePackage(new File(words[0]), arguments[0], false, Oracle.class)) {
                System.out.println(answer(code, words));
            } catch (Throwable error) {
                System.out.println("error " + error.getClass().getSimpleName() + ": " + error.getMessage());
            }
        }
    }

    private static String answer(FunctionFilePackage code, String[] words) {
        switch (words[1]) {
            case "function":
            case "window":
                FunctionConfig config = new FunctionConfig();
                config.setClassName(words[2]);
                config.setWindowConfig(words[1].equals("window") ? new WindowConfig() : null);
                var details = FunctionConfigUtils.doJavaChecks(config, code);
                return details.getTypeArg0() + " " + details.getTypeArg1();
            case "source":
                return name(FunctionCommon.getSourceType(words[2], code.getTypePool()));
            case "sink":
                return name(FunctionCommon.getSinkType(words[2], code.getTypePool()));
            default:
                FunctionConfig typed = new FunctionConfig();
                typed.setClassName(words[2]);
                TypeDefinition[] types = FunctionCommon.getFunctionTypes(typed, code.resolveType(words[2]));
                boolean input = words[1].equals("input-serde");
                ValidatorUtils.validateSerde(words[3], types[input ? 0 : 1], code.getTypePool(), input);
                return "ok";
        }
    }

    private static String name(TypeDefinition type) {
        return type.asErasure().getTypeName();
    }
}
