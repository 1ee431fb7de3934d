import { serve } from "../../../../../providers/terraform/plugin";
import { shop } from "./shop-provider";

void serve(shop);
