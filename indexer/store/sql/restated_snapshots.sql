SELECT snapshot_id FROM public.snapshot WHERE restated
