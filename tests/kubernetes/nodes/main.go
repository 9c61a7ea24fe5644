// Command nodes is kwok, which plays nodes and the pods on them. It prints the stages that kwok comes with when it is
// called with "stages" alone, as kwok wants them in a file.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	lease "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	"sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/signals"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "stages" {
		printStages()
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "nodes:", err)
		os.Exit(1)
	}
}

func printStages() {
	stages := []string{podfast.DefaultPodReady, podfast.DefaultPodComplete, podfast.DefaultPodDelete}
	stages = append(stages, nodefast.DefaultNodeInit, lease.DefaultNodeHeartbeatWithLease)
	for _, stage := range stages {
		fmt.Println("---\n" + stage)
	}
}

// run wants the flags read twice: kwok looks for its configuration file before the command knows what it may be told.
func run() error {
	early := pflag.NewFlagSet("nodes", pflag.ContinueOnError)
	early.Usage = func() {}
	early.ParseErrorsAllowlist.UnknownFlags = true
	context, _ := log.InitFlags(signals.SetupSignalContext(), early)
	context, err := config.InitFlags(context, early)
	if err != nil {
		return err
	}
	command := kwok.NewCommand(context)
	command.PersistentFlags().AddFlagSet(early)
	return command.ExecuteContext(context)
}
