package org.apache.pulsar.functions.worker;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import com.google.protobuf.util.JsonFormat;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.apache.pulsar.broker.authentication.AuthenticationDataSource;
import org.apache.pulsar.client.impl.PulsarClientImpl;
import org.apache.pulsar.functions.auth.FunctionAuthData;
import org.apache.pulsar.functions.auth.FunctionAuthProvider;
import org.apache.pulsar.functions.instance.InstanceConfig;
import org.apache.pulsar.functions.proto.Function.FunctionAuthenticationSpec;
import org.apache.pulsar.functions.proto.Function.FunctionDetails;
import org.apache.pulsar.functions.runtime.RuntimeFactory;
import org.apache.pulsar.functions.runtime.RuntimeSpawner;
import org.apache.pulsar.functions.runtime.thread.ThreadRuntimeFactory;

/**
 * Launches what a case describes as a worker of Apache Pulsar's would, up to the programs and the API server it talks to.
 *
 * <p>Arguments: the case, the worker's configuration, and the file that gets what can be told from in here. In the package
 * of the worker, as the configuration of an instance is made by a method that only this package sees.
 */
public class Recorder {
    private final JsonObject given;
    private final WorkerConfig config;
    private final JsonObject told = new JsonObject();

    private Recorder(JsonObject given, WorkerConfig config) {
        this.given = given;
        this.config = config;
    }

    public static void main(String[] arguments) throws Exception {
        JsonObject told;
        try {
            JsonObject given = JsonParser.parseString(Files.readString(Path.of(arguments[0]))).getAsJsonObject();
            Recorder recorder = new Recorder(given, WorkerConfig.load(arguments[1]));
            recorder.record();
            told = recorder.told;
        } catch (Exception error) {
            told = failure("startError", error);
        }
        Files.writeString(Path.of(arguments[2]), new Gson().toJson(told));
        Runtime.getRuntime().halt(0);  // its threads would go on
    }

    private static JsonObject failure(String kind, Throwable error) {
        error.printStackTrace();
        JsonObject told = new JsonObject();
        told.addProperty(kind, error.getMessage() == null ? error.toString() : error.getMessage());
        return told;
    }

    private void record() throws Exception {
        RuntimeFactory factory = new FunctionRuntimeManager(config, new PulsarWorkerService(), null, null,
                new ConnectorsManager(config), new FunctionsManager(config), null, null,
                ErrorNotifier.getDefaultImpl()).getRuntimeFactory();
        if (factory instanceof ThreadRuntimeFactory) {
            Field field = ThreadRuntimeFactory.class.getDeclaredField("pulsarClient");
            field.setAccessible(true);
            PulsarClientImpl client = (PulsarClientImpl) field.get(factory);
            told.addProperty("clientMemoryLimit", client.getConfiguration().getMemoryLimitBytes());
        }
        if (!given.has("functionDetails")) {
            return;
        }
        FunctionDetails.Builder builder = FunctionDetails.newBuilder();
        JsonFormat.parser().merge(given.get("functionDetails").toString(), builder);
        FunctionDetails details = builder.build();
        try {
            factory.doAdmissionChecks(details);
        } catch (Exception error) {
            failure("admissionError", error).entrySet().forEach(each -> told.add(each.getKey(), each.getValue()));
            return;
        }
        if (factory instanceof ThreadRuntimeFactory && details.getRuntime() == FunctionDetails.Runtime.JAVA) {
            return;  // it would load the classes of the package
        }
        start(factory, details);
    }

    private void start(RuntimeFactory factory, FunctionDetails details) throws Exception {
        FunctionAuthenticationSpec kept = authentication(factory, details);
        FunctionActioner actioner = new FunctionActioner(config, factory, null, null, null, null, null);
        JsonObject drawn = given.getAsJsonObject("instance");
        InstanceConfig instance = actioner.createInstanceConfig(
                details, kept, drawn.get("instanceId").getAsInt(), config.getPulsarFunctionsCluster());
        instance.setFunctionId(drawn.get("functionId").getAsString());
        instance.setFunctionVersion(drawn.get("functionVersion").getAsString());
        instance.setTransformFunctionId(drawn.get("transformFunctionId").getAsString());
        instance.setPort(drawn.get("port").getAsInt());
        instance.setMetricsPort(drawn.get("metricsPort").getAsInt());
        RuntimeSpawner spawner = new RuntimeSpawner(instance, text(given, "codeFile"), text(given, "originalCodeFileName", ""),
                text(given, "transformFunctionFile"), text(given, "originalTransformFunctionFileName", ""),
                factory, config.getInstanceLivenessCheckFreqMs());
        spawner.start();
        if (spawner.getRuntime().getDeathException() != null) {
            throw new Exception(spawner.getRuntime().getDeathException());
        }
    }

    /** What the worker keeps of the user's token; null for nothing. */
    private FunctionAuthenticationSpec authentication(RuntimeFactory factory, FunctionDetails details) throws Exception {
        if (!given.has("functionAuth") || !config.isAuthenticationEnabled() || factory.getAuthProvider().isEmpty()) {
            return null;
        }
        FunctionAuthProvider provider = factory.getAuthProvider().get();
        JsonObject auth = given.getAsJsonObject("functionAuth");
        String secret = text(auth, "secretId");
        Optional<FunctionAuthData> stored = Optional.ofNullable(secret)
                .map(id -> FunctionAuthData.builder().data(id.getBytes()).provider("").build());
        AuthenticationDataSource user = user(text(auth, "token"));
        Optional<FunctionAuthData> data;
        switch (text(auth, "operation")) {
            case "register":
                data = provider.cacheAuthData(details, user);
                break;
            case "update":
                data = provider.updateAuthData(details, stored, user);
                break;
            default:
                data = stored;
        }
        if (data.isEmpty()) {
            return null;
        }
        told.addProperty("kept", new String(data.get().getData()));
        return FunctionAuthenticationSpec.newBuilder().setData(ByteString.copyFrom(data.get().getData())).build();
    }

    private static AuthenticationDataSource user(String token) {
        return new AuthenticationDataSource() {
            @Override
            public boolean hasDataFromHttp() {
                return token != null;
            }

            @Override
            public String getHttpHeader(String name) {
                return token == null ? null : "Bearer " + token;
            }
        };
    }

    private static String text(JsonObject object, String key) {
        return text(object, key, null);
    }

    private static String text(JsonObject object, String key, String otherwise) {
        JsonElement value = object.get(key);
        return value == null || value.isJsonNull() ? otherwise : value.getAsString();
    }
}
