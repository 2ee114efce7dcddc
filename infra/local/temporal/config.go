package temporal

import (
	"fmt"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
)

const clusterName = "active"

// server is the static configuration: every service on loopback, everything stored in one database, no other cluster.
func (c Config) server(store *config.SQL) *config.Config {
	const storeName = "sqlite"
	frontend := fmt.Sprintf("%s:%d", host, c.Frontend)
	conf := &config.Config{
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: host}},
		Persistence: config.Persistence{
			DefaultStore:     storeName,
			VisibilityStore:  storeName,
			NumHistoryShards: 1, // SQLite has one writer; fixed for the life of the database
			DataStores:       map[string]config.DataStore{storeName: {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            map[string]config.Service{},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: frontend},
	}
	for service, port := range c.ports() {
		conf.Services[string(service)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: host}}
	}
	if c.HTTP > 0 {
		frontend := conf.Services[string(primitives.FrontendService)]
		frontend.RPC.HTTPPort = c.HTTP
		conf.Services[string(primitives.FrontendService)] = frontend
	}
	return conf
}

// hosts replaces the discovery of members: there is one of each service, and it is here. A server that was killed therefore takes its shard back
// at once, without waiting for the other members to notice.
func (c Config) hosts() map[primitives.ServiceName]static.Hosts {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for service, port := range c.ports() {
		hosts[service] = static.SingleLocalHost(fmt.Sprintf("%s:%d", host, port))
	}
	return hosts
}

func (c Config) ports() map[primitives.ServiceName]int {
	return map[primitives.ServiceName]int{
		primitives.FrontendService: c.Frontend,
		primitives.HistoryService:  c.History,
		primitives.MatchingService: c.Matching,
		primitives.WorkerService:   c.Worker,
	}
}

// settings are what differs from the server's defaults, which are made for clusters of many machines and namespaces.
func (c Config) settings() dynamicconfig.StaticClient {
	settings := dynamicconfig.StaticClient{
		dynamicconfig.EnableServerVersionCheck.Key():                     false, // it would ask a server on the internet
		dynamicconfig.FrontendRPS.Key():                                  10_000,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():           10_000,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 200, // the default of 10 is soon spent by `builds ls` and the web UI
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():           1,   // partitions spread a queue over machines; here they only add hops
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key():          1,
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                 8192, // workflows, of 128k
	}
	if c.HistoryEvents > 0 {
		settings[dynamicconfig.HistoryCountSuggestContinueAsNew.Key()] = c.HistoryEvents
	}
	return settings
}
