package workflows

import "go.temporal.io/sdk/workflow"

// inWindow runs step for from to n-1 with at most width under way, in order of start. It returns how far it came: less than n when the history
// has grown so long that the run should continue as new. The first error is returned once all that had started have ended; nothing new
// starts after it.
func inWindow(ctx workflow.Context, from, n, width int, step func(ctx workflow.Context, i int) error) (next int, err error) {
	next = from
	group := workflow.NewWaitGroup(ctx)
	more := func(ctx workflow.Context) bool {
		return next < n && err == nil && ctx.Err() == nil && !workflow.GetInfo(ctx).GetContinueAsNewSuggested()
	}
	for range min(n-from, width) {
		group.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer group.Done()
			for more(ctx) {
				i := next
				next++
				if failed := step(ctx, i); failed != nil && err == nil {
					err = failed
				}
			}
		})
	}
	group.Wait(ctx)
	if err == nil {
		err = ctx.Err()
	}
	return next, err
}
