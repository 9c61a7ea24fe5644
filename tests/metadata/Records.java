import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.pulsar.functions.proto.Function.Assignment;
import org.apache.pulsar.functions.proto.Function.FunctionAuthenticationSpec;
import org.apache.pulsar.functions.proto.Function.FunctionDetails;
import org.apache.pulsar.functions.proto.Function.FunctionMetaData;
import org.apache.pulsar.functions.proto.Function.FunctionState;
import org.apache.pulsar.functions.proto.Function.Instance;
import org.apache.pulsar.functions.proto.Function.PackageLocationMetaData;
import org.apache.pulsar.functions.proto.Request.ServiceRequest;

/** Reads and writes the records of the state of record with the reference's own classes: read DIR, write DIR. */
public class Records {
    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[1]);
        if (arguments[0].equals("read")) {
            read(directory);
        } else {
            write(directory);
        }
    }

    private static void read(Path directory) throws Exception {
        byte[] bytes = Files.readAllBytes(directory.resolve("registration"));
        FunctionMetaData data = FunctionMetaData.parseFrom(bytes);
        FunctionDetails details = data.getFunctionDetails();
        print(details.getTenant(), details.getNamespace(), details.getName(), data.getVersion(), data.getCreateTime());
        print(data.getPackageLocation().getPackagePath(), data.getPackageLocation().getOriginalFileName(),
                data.getTransformFunctionPackageLocation().getPackagePath(),
                hex(data.getFunctionAuthSpec().getData()), data.getFunctionAuthSpec().getProvider());
        Map<Integer, FunctionState> states = new TreeMap<>(data.getInstanceStatesMap());
        System.out.println(states.entrySet().stream().map(Object::toString).collect(Collectors.joining(",")));
        System.out.println("unknown fields: " + unknown(data));
        System.out.println("same bytes: " + Arrays.equals(bytes, data.toByteArray()));
        String json = JsonFormat.printer().omittingInsignificantWhitespace().print(details);
        FunctionDetails.Builder again = FunctionDetails.newBuilder();
        JsonFormat.parser().merge(json, again);
        System.out.println("same details: " + again.build().equals(details));
        ServiceRequest request = ServiceRequest.parseFrom(Files.readAllBytes(directory.resolve("request")));
        print(request.getServiceRequestType(), request.getRequestId(), request.getWorkerId(),
                request.getFunctionMetaData().equals(data));
        Assignment assignment = Assignment.parseFrom(Files.readAllBytes(directory.resolve("assignment")));
        print(assignment.getInstance().getInstanceId(), assignment.getWorkerId(),
                assignment.getInstance().getFunctionMetaData().equals(data));
    }

    private static void write(Path directory) throws Exception {
        FunctionDetails.Builder details = FunctionDetails.newBuilder();
        JsonFormat.parser().merge(Files.readString(directory.resolve("details.json")), details);
        FunctionMetaData data = FunctionMetaData.newBuilder()
                .setFunctionDetails(details.setTenant("t").setNamespace("n").setName("f"))
                .setPackageLocation(location("path", "name.jar"))
                .setTransformFunctionPackageLocation(location("other", "transform.jar"))
                .setVersion(Long.MAX_VALUE)
                .setCreateTime(1_700_000_000_000L)
                .putInstanceStates(0, FunctionState.RUNNING)
                .putInstanceStates(1, FunctionState.STOPPED)
                .setFunctionAuthSpec(FunctionAuthenticationSpec.newBuilder()
                        .setData(ByteString.copyFrom(new byte[] {0, (byte) 0xff})).setProvider("Provider"))
                .build();
        save(directory, "registration", data);
        save(directory, "request", ServiceRequest.newBuilder()
                .setServiceRequestType(ServiceRequest.ServiceRequestType.UPDATE)
                .setRequestId("an-id").setWorkerId("worker-1").setFunctionMetaData(data).build());
        save(directory, "assignment", Assignment.newBuilder().setWorkerId("worker-1")
                .setInstance(Instance.newBuilder().setInstanceId(3).setFunctionMetaData(data)).build());
    }

    private static PackageLocationMetaData location(String path, String name) {
        return PackageLocationMetaData.newBuilder().setPackagePath(path).setOriginalFileName(name).build();
    }

    private static void save(Path directory, String name, Message message) throws Exception {
        Files.write(directory.resolve(name), message.toByteArray());
    }

    private static String hex(ByteString data) {
        StringBuilder text = new StringBuilder();
        data.forEach(each -> text.append(String.format("%02x", each)));
        return text.toString();
    }

    /** How many fields, at any depth, the reference has no name for. */
    private static int unknown(Message message) {
        int count = message.getUnknownFields().asMap().size();
        for (Object value : message.getAllFields().values()) {
            Iterable<?> values = value instanceof Iterable<?> several ? several : java.util.List.of(value);
            for (Object each : values) {
                count += each instanceof Message inner ? unknown(inner) : 0;
            }
        }
        return count;
    }

    private static void print(Object... values) {
        System.out.println(Arrays.stream(values).map(String::valueOf).collect(Collectors.joining("|")));
    }
}
