// Command control is what a cluster without nodes consists of, as one program: its first argument says which part it
// plays, and the rest are the flags that the part has upstream.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	etcd "go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

var parts = map[string]func() *cobra.Command{
	"apiserver":   apiserver.NewAPIServerCommand,
	"controllers": controllers.NewControllerManagerCommand,
	"scheduler":   func() *cobra.Command { return scheduler.NewSchedulerCommand() },
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: control apiserver|controllers|scheduler|etcd|keys [flags]")
	}
	part := os.Args[1]
	os.Args = append(os.Args[:1], os.Args[2:]...)
	switch command, known := parts[part]; {
	case known:
		os.Exit(cli.Run(command()))
	case part == "etcd":
		etcd.Main(os.Args)
	case part == "keys" && len(os.Args) == 3:
		if err := writeKeys(os.Args[1], os.Args[2]); err != nil {
			fail(err)
		}
	default:
		fail("control: no such part: " + part)
	}
}

func fail(reason any) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(2)
}
