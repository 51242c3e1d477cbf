import NexusModel
