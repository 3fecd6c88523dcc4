"""An application for the API server of google-adk, which wants a folder of folders."""
