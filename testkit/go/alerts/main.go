// Judges alert rules by Prometheus' own parser, engine and rule manager, as `promtool test rules` does, without the service
// discoveries that make promtool take half an hour to build.
//
// alerts RULES reads cases as JSON from standard input and ends with 1 where something is wrong, told on standard error.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

// How often rules are evaluated, and how far apart samples are.
const interval = time.Minute

type input struct {
	// PromQL that has to be well-formed.
	Expressions []string `json:"expressions"`
	Cases       []struct {
		Name string `json:"name"`
		// Series in the notation of Prometheus' tests, each with its values, a minute apart.
		Series map[string]string `json:"series"`
		// Minutes from the first sample.
		At int `json:"at"`
		// The alerts that fire then, each with the labels that it has beside those of its rule.
		Fires map[string][]map[string]string `json:"fires"`
	} `json:"cases"`
}

func main() {
	if len(os.Args) != 2 {
		fail("usage: alerts RULES <CASES")
	}
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		fail("the cases cannot be read: %v", err)
	}
	promql := parser.NewParser(parser.Options{})
	var wrong []string
	for _, expression := range in.Expressions {
		if _, err := promql.ParseExpr(expression); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", expression, err))
		}
	}
	for _, one := range in.Cases {
		fires, err := firing(os.Args[1], one.Series, one.At, promql)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", one.Name, err))
			continue
		}
		var expected []string
		for name, alerts := range one.Fires {
			for _, alert := range alerts {
				expected = append(expected, name+labels.FromMap(alert).String())
			}
		}
		slices.Sort(expected)
		if !slices.Equal(expected, fires) {
			wrong = append(wrong, fmt.Sprintf("%s: these fire: %v, and not %v", one.Name, fires, expected))
		}
	}
	if len(wrong) > 0 {
		fail("%s", strings.Join(wrong, "\n"))
	}
}

// The alerts that fire after so many minutes of these series.
func firing(file string, series map[string]string, at int, promql parser.Parser) ([]string, error) {
	load := "load 1m\n"
	for _, name := range slices.Sorted(maps.Keys(series)) {
		load += fmt.Sprintf("  %s %s\n", name, series[name])
	}
	suite, err := promqltest.NewLazyLoader(load, promqltest.LazyLoaderOpts{EnableAtModifier: true, EnableNegativeOffset: true, Parser: promql})
	if err != nil {
		return nil, err
	}
	defer suite.Close()
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:    rules.EngineQueryFunc(suite.QueryEngine(), suite.Storage()),
		AppendableV2: suite.Storage(),
		Context:      context.Background(),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		Logger:       slog.New(slog.DiscardHandler),
		Parser:       promql,
	})
	groups, errs := manager.LoadGroups(interval, labels.EmptyLabels(), "", nil, false, file)
	if errs != nil {
		return nil, fmt.Errorf("%s: %v", file, errs)
	}
	for minute := range at + 1 {
		now := time.Unix(0, 0).UTC().Add(time.Duration(minute) * interval)
		suite.WithSamplesTill(now, func(failed error) {
			err = failed
			for _, group := range groups {
				group.Eval(suite.Context(), now)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	var fires []string
	for _, group := range groups {
		for _, rule := range group.Rules() {
			if err := rule.LastError(); err != nil {
				return nil, fmt.Errorf("%s: %v", rule.Name(), err)
			}
			alerting, ok := rule.(*rules.AlertingRule)
			if !ok {
				continue
			}
			for _, alert := range alerting.ActiveAlerts() {
				if alert.State == rules.StateFiring {
					fires = append(fires, rule.Name()+labels.NewBuilder(alert.Labels).Del("alertname", "severity").Labels().String())
				}
			}
		}
	}
	slices.Sort(fires)
	return fires, nil
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}
