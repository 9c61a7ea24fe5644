// A function in Go, for tests: it stands in for one that is made with Pulsar's Go function SDK, which the public
// module proxy does not carry. It takes the same command line, speaks the same control service, and exclaims: the
// output is the input with "!" behind it. Asked "has secret NAME", it says whether it was given one of that name.
// It takes its time over an input that begins with "slow".
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsar/log"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"gopkg.in/yaml.v3"
)

// config has what this function needs of the SDK's GoInstanceConfig; what holds JSON is text.
type config struct {
	ServiceURL           string            `json:"pulsarServiceURL" yaml:"pulsarServiceURL"`
	InstanceID           int               `json:"instanceID" yaml:"instanceID"`
	Port                 int               `json:"port" yaml:"port"`
	Tenant               string            `json:"tenant" yaml:"tenant"`
	Namespace            string            `json:"nameSpace" yaml:"nameSpace"`
	Name                 string            `json:"name" yaml:"name"`
	SecretsMap           string            `json:"secretsMap" yaml:"secretsMap"`
	SubscriptionName     string            `json:"subscriptionName" yaml:"subscriptionName"`
	SubscriptionPosition int               `json:"subscriptionPosition" yaml:"subscriptionPosition"`
	SourceInputSpecs     map[string]string `json:"sourceInputSpecs" yaml:"sourceInputSpecs"`
	SinkSpecsTopic       string            `json:"sinkSpecsTopic" yaml:"sinkSpecsTopic"`

	secrets map[string]any
}

const (
	earliest = 1
	slowness = 5 * time.Millisecond
)

// readConfig does as the SDK: the JSON of the command line goes over what the file says.
func readConfig(arguments []string) (config, error) {
	var result config
	flags := flag.NewFlagSet("function", flag.ContinueOnError)
	inline := flags.String("instance-conf", "", "the configuration, as JSON")
	path := flags.String("instance-conf-path", "", "a file with the configuration, as YAML")
	if err := flags.Parse(arguments); err != nil {
		return result, err
	}
	if *path != "" {
		text, err := os.ReadFile(*path)
		if err != nil {
			return result, err
		}
		if err := yaml.Unmarshal(text, &result); err != nil {
			return result, fmt.Errorf("%s: %w", *path, err)
		}
	}
	if *inline != "" {
		if err := json.Unmarshal([]byte(*inline), &result); err != nil {
			return result, fmt.Errorf("-instance-conf: %w", err)
		}
	}
	if result.SecretsMap != "" {
		if err := json.Unmarshal([]byte(result.SecretsMap), &result.secrets); err != nil {
			return result, errors.New("secretsMap is no JSON object") // the error itself may quote a secret
		}
	}
	return result, nil
}

func (c config) subscription() string {
	if c.SubscriptionName != "" {
		return c.SubscriptionName
	}
	return fmt.Sprintf("%s/%s/%s", c.Tenant, c.Namespace, c.Name)
}

func (c config) position() pulsar.SubscriptionInitialPosition {
	if c.SubscriptionPosition == earliest {
		return pulsar.SubscriptionPositionEarliest
	}
	return pulsar.SubscriptionPositionLatest
}

func (c config) process(input string) string {
	if name, asked := strings.CutPrefix(input, "has secret "); asked {
		return fmt.Sprintf("has secret %s: %t", name, c.secrets[name] != nil)
	}
	if strings.HasPrefix(input, "slow") {
		time.Sleep(slowness)
	}
	return input + "!"
}

// stats is written by the loop and by the producer's callbacks, and read by the control service.
type stats struct {
	received, processed, failed, lastInvocation atomic.Int64
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "the function failed:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	conf, err := readConfig(arguments)
	if err != nil {
		return err
	}
	stopped, forget := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer forget()
	handler := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})
	client, err := pulsar.NewClient(pulsar.ClientOptions{
		URL:    conf.ServiceURL,
		Logger: log.NewLoggerWithSlog(slog.New(handler)),
	})
	if err != nil {
		return err
	}
	defer client.Close()
	producer, err := client.CreateProducer(pulsar.ProducerOptions{Topic: conf.SinkSpecsTopic})
	if err != nil {
		return err
	}
	defer producer.Close()
	inputs := make(chan pulsar.ConsumerMessage)
	for topic := range conf.SourceInputSpecs {
		consumer, err := client.Subscribe(pulsar.ConsumerOptions{
			Topic:                       topic,
			SubscriptionName:            conf.subscription(),
			SubscriptionInitialPosition: conf.position(),
			Type:                        pulsar.Shared,
			MessageChannel:              inputs,
			NackRedeliveryDelay:         time.Second,
		})
		if err != nil {
			return err
		}
		defer consumer.Close()
	}
	counted := &stats{}
	server, err := serveControl(conf, counted)
	if err != nil {
		return err
	}
	defer server.Stop()
	fmt.Printf("%s:%d is ready\n", conf.Name, conf.InstanceID)
	loop(stopped, conf, inputs, producer, counted)
	fmt.Printf("%s:%d ended\n", conf.Name, conf.InstanceID)
	return nil
}

// loop returns when it was told to stop and every output it has sent is answered for.
func loop(
	stopped context.Context, conf config, inputs <-chan pulsar.ConsumerMessage, producer pulsar.Producer, counted *stats,
) {
	var unanswered sync.WaitGroup
	defer unanswered.Wait()
	defer func() { _ = producer.FlushWithCtx(context.Background()) }()
	for {
		select {
		case <-stopped.Done():
			return
		case input := <-inputs:
			unanswered.Add(1)
			counted.received.Add(1)
			counted.lastInvocation.Store(time.Now().UnixMilli())
			output := &pulsar.ProducerMessage{Payload: []byte(conf.process(string(input.Payload())))}
			producer.SendAsync(context.Background(), output,
				func(_ pulsar.MessageID, _ *pulsar.ProducerMessage, err error) {
					defer unanswered.Done()
					answer(input, err, counted)
				})
		}
	}
}

// answer acknowledges an input once the broker has its output, and gives it back when the broker refused that.
func answer(input pulsar.ConsumerMessage, err error, counted *stats) {
	if err != nil {
		counted.failed.Add(1)
		input.Consumer.Nack(input.Message)
		return
	}
	counted.processed.Add(1)
	if err := input.Consumer.Ack(input.Message); err != nil {
		fmt.Fprintln(os.Stderr, "not acknowledged:", err)
	}
}

// rawCodec hands messages through as the bytes they are, so that no generated code is needed.
type rawCodec struct{}

func (rawCodec) Name() string                        { return "proto" }
func (rawCodec) Marshal(value any) ([]byte, error)   { return *value.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, to any) error { *to.(*[]byte) = data; return nil }

// serveControl serves the part of proto.InstanceControl that a worker needs.
func serveControl(conf config, counted *stats) (*grpc.Server, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", conf.Port))
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "proto.InstanceControl",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			method("HealthCheck", healthCheckResult),
			method("GetFunctionStatus", func() []byte { return functionStatus(conf, counted) }),
		},
	}, nil)
	go func() { _ = server.Serve(listener) }()
	return server, nil
}

func method(name string, reply func() []byte) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var request []byte
			if err := decode(&request); err != nil {
				return nil, err
			}
			message := reply()
			return &message, nil
		},
	}
}

func healthCheckResult() []byte {
	return appendNumber(nil, 1, 1) // success
}

func functionStatus(conf config, counted *stats) []byte {
	message := appendNumber(nil, 1, 1) // running
	message = appendNumber(message, 5, counted.processed.Load())
	message = appendNumber(message, 8, counted.failed.Load())
	message = protowire.AppendTag(message, 12, protowire.Fixed64Type) // averageLatency
	message = protowire.AppendFixed64(message, math.Float64bits(0))
	message = appendNumber(message, 13, counted.lastInvocation.Load())
	message = protowire.AppendTag(message, 14, protowire.BytesType) // instanceId
	message = protowire.AppendString(message, fmt.Sprint(conf.InstanceID))
	return appendNumber(message, 17, counted.received.Load())
}

func appendNumber(message []byte, field protowire.Number, value int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(message, field, protowire.VarintType), uint64(value))
}
