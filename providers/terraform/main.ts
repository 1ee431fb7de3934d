import { serve } from "./plugin";
import { provider } from "./resources";

void serve(provider);
